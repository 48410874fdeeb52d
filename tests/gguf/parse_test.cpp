#include <gmock/gmock.h>
#include <map>

#include "core/bytes.h"
#include "core/error.h"
#include "gguf/file.h"
#include "gguf/limits.h"
#include "gguf/writer.h"

namespace assay::gguf {
namespace {

/// A small valid file with every kind of value and two tensors.
std::vector<std::byte> sample() {
    static const std::vector<float> weights(64, 1.5f);
    Writer writer;
    writer.add("general.architecture", text("llama"));
    writer.add("a.u16", u16(7));
    writer.add("a.f32", f32(0.5f));
    writer.add("a.bool", boolean(true));
    writer.add("a.texts", texts({"x", "", "yz"}));
    writer.add("a.ints", i32s({-1, 2}));
    writer.add_tensor("w", {32, 2}, quant::TypeId::F32, std::as_bytes(std::span(weights)));
    return writer.bytes();
}

TEST(Parse, ReadsBackWhatTheWriterWrote) {
    const auto bytes = sample();
    const Header header = parse_header(bytes, "sample");
    EXPECT_EQ(header.version, 3u);
    EXPECT_EQ(header.metadata.get_string("general.architecture"), "llama");
    EXPECT_EQ(header.metadata.get_integer("a.u16"), 7);
    EXPECT_EQ(header.metadata.get_real("a.f32"), 0.5);
    EXPECT_EQ(header.metadata.find_bool("a.bool"), true);
    EXPECT_EQ(*header.metadata.find_strings("a.texts"), (Strings{"x", "", "yz"}));
    EXPECT_EQ(*header.metadata.find_integers("a.ints"), (Integers{-1, 2}));
    ASSERT_EQ(header.tensors.size(), 1u);
    EXPECT_EQ(header.tensors[0].size_bytes, 256u);
    EXPECT_EQ(header.tensors[0].offset_bytes % 32, 0u);
}

TEST(Parse, ReadsBackNumbersOfEveryType) {
    using enum ValueType;
    Writer writer;
    for (const ValueType type : {U8, I8, U16, I16, U32, I32, Bool, U64, I64}) {
        const std::string name(to_string(type));
        writer.add("one." + name, Value{type, {}, std::int64_t{1}});
        writer.add("many." + name, Value{Array, type, Integers{0, 1}});
    }
    writer.add("one.f32", f32(0.5f));
    writer.add("one.f64", f64(0.1));
    writer.add("many.f32", f32s({0.5, -2}));
    writer.add("many.f64", f64s({0.1}));
    const Metadata metadata = parse_header(writer.bytes(), "numbers").metadata;
    for (const ValueType type : {U8, I8, U16, I16, U32, I32, Bool, U64, I64}) {
        const std::string name(to_string(type));
        EXPECT_EQ(metadata.find_integer("one." + name), 1) << name;
        EXPECT_EQ(metadata.find("one." + name)->type, type);
        EXPECT_EQ(*metadata.find_integers("many." + name), (Integers{0, 1})) << name;
        EXPECT_EQ(metadata.find("many." + name)->element, type);
    }
    EXPECT_EQ(metadata.find_real("one.f32"), 0.5);
    EXPECT_EQ(metadata.find_real("one.f64"), 0.1);
    EXPECT_EQ(metadata.find_reals("many.f32"), (Reals{0.5, -2}));
    EXPECT_EQ(metadata.find_reals("many.f64"), Reals{0.1});
    EXPECT_EQ(metadata.find_reals("many.u16"), (Reals{0, 1}));
}

TEST(Writer, RefusesWhatIsNoNumber) {
    Writer writer;
    writer.add("a", Value{ValueType::String, {}, std::int64_t{1}});
    EXPECT_THROW(writer.bytes(), Error);
}

TEST(Writer, RefusesDataOfAnotherSize) {
    const std::vector<float> weights(7);
    Writer writer;
    EXPECT_THROW(writer.add_tensor("a", {8}, quant::TypeId::F32, std::as_bytes(std::span(weights))), Error);
    Writer later;
    later.add_tensor("a", {8}, quant::TypeId::F32,
                     [&](const Writer::Out& out) { out(std::as_bytes(std::span(weights))); });
    EXPECT_THROW(later.bytes(), Error);
}

TEST(Parse, RefusesEveryTruncation) {
    const auto bytes = sample();
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        EXPECT_THROW(parse_header(part, "cut"), Error) << n;
    }
}

// Eight bytes of all ones anywhere: lengths, counts, dimensions, offsets, types. What is not refused must lie
// inside the bytes.
TEST(Parse, SurvivesAllOnesAnywhere) {
    const auto bytes = sample();
    for (std::size_t at = 0; at + 8 <= bytes.size(); ++at) {
        auto lying = bytes;
        std::fill_n(lying.begin() + static_cast<std::ptrdiff_t>(at), 8, std::byte{0xff});
        try {
            for (const Tensor& tensor : parse_header(lying, "lying").tensors) {
                ASSERT_LE(tensor.size_bytes, lying.size()) << at;
                ASSERT_LE(tensor.offset_bytes, lying.size() - tensor.size_bytes) << at;
            }
        } catch (const Error& error) {
            EXPECT_TRUE(error.kind() == ErrorKind::BadFile || error.kind() == ErrorKind::Unsupported) << at;
        }
    }
}

/// A header written by hand, to say what the writer would not.
class Hand {
  public:
    Hand(std::uint64_t n_tensors, std::uint64_t n_pairs, std::uint32_t version = 3) {
        out_.write_text("GGUF");
        put(version).put(n_tensors).put(n_pairs);
    }
    template <typename T> Hand& put(T value) {
        out_.write(value);
        return *this;
    }
    Hand& name(std::string_view text) {
        put(std::uint64_t{text.size()});
        out_.write_text(text);
        return *this;
    }
    Hand& tensor(std::string_view text, std::vector<std::uint64_t> ne, std::uint32_t type,
                 std::uint64_t offset) {
        name(text).put(static_cast<std::uint32_t>(ne.size()));
        for (const std::uint64_t n : ne) put(n);
        return put(type).put(offset);
    }
    /// Why it is refused, with some bytes of data behind it.
    std::string refusal() {
        out_.pad(32);
        for (int i = 0; i < 16; ++i) put(1.0f);
        try {
            parse_header(out_.bytes(), "hand");
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing";
    }

  private:
    ByteWriter out_;
};

constexpr std::uint32_t kF32 = 0, kQ4_0 = 2, kIq1SR4 = 219;
constexpr std::uint64_t kAllOnes = ~std::uint64_t{0};

TEST(Parse, NamesWhatATensorCannotBe) {
    using testing::HasSubstr;
    const auto one = [](std::vector<std::uint64_t> ne, std::uint32_t type = kF32, std::uint64_t offset = 0,
                        std::string_view name = "w") {
        return Hand(1, 0).tensor(name, std::move(ne), type, offset).refusal();
    };
    EXPECT_EQ(one({16}), "nothing");
    EXPECT_THAT(one({17}), HasSubstr("tensor w needs 68 bytes at offset 0 of the data, which has 64"));
    EXPECT_THAT(one({15}, kF32, 32), HasSubstr("at offset 32"));
    EXPECT_THAT(one({8}, kF32, kAllOnes - 15), HasSubstr("at offset 18446744073709551600"));
    EXPECT_THAT(one({0}), HasSubstr("expected positive dimensions"));
    EXPECT_THAT(one({std::uint64_t{1} << 32, std::uint64_t{1} << 31}), HasSubstr("below 2^63"));
    EXPECT_THAT(one({std::uint64_t{1} << 62}), HasSubstr("larger than any file"));
    EXPECT_THAT(one({4, 4, 1, 1, 1}), HasSubstr("5 dimensions, expected at most 4"));
    EXPECT_THAT(one({33}, kQ4_0), HasSubstr("rows of 33, expected a multiple of 32"));
    EXPECT_EQ(one({32, 4}, kIq1SR4), "nothing");  // a half and six bytes a row
    EXPECT_THAT(one({64, 8}, kIq1SR4), HasSubstr("tensor w needs 112 bytes"));
    EXPECT_THAT(one({32, 6}, kIq1SR4),
                HasSubstr("tensor w of type iq1_s_r4 has 6 rows, expected a multiple of 4"));
    EXPECT_THAT(one({32, 2, 2}, kIq1SR4), HasSubstr("has 2 rows")) << "each matrix has its own groups";
    EXPECT_THAT(one({16}, 4), HasSubstr("type id 4"));
    EXPECT_THAT(one({16}, kF32, 0, ""), HasSubstr("a tensor name has 0 bytes"));
    EXPECT_THAT(one({16}, kF32, 0, std::string(64, 'x')), HasSubstr("a tensor name has 64 bytes"));
    EXPECT_THAT(Hand(2, 0).tensor("w", {4}, kF32, 0).tensor("w", {4}, kF32, 32).refusal(),
                HasSubstr("tensor w occurs twice"));
    EXPECT_THAT(Hand(kAllOnes, 0).refusal(), HasSubstr("tensors at byte"));
}

TEST(Parse, NamesWhatAPairCannotBe) {
    using testing::HasSubstr;
    constexpr std::uint32_t kU32 = 4, kString = 8, kArray = 9;
    EXPECT_THAT(Hand(0, 1).name("").put(kU32).put(1u).refusal(), HasSubstr("empty metadata key"));
    EXPECT_THAT(Hand(0, 1).name("k").put(13u).put(1u).refusal(),
                HasSubstr("value type 13, expected 0 to 12"));
    EXPECT_THAT(Hand(0, 2).name("k").put(kU32).put(1u).name("k").put(kU32).put(1u).refusal(),
                HasSubstr("metadata key k occurs twice"));
    EXPECT_THAT(Hand(0, 1).name("k").put(kArray).put(kArray).put(std::uint64_t{0}).refusal(),
                HasSubstr("array of arrays"));
    EXPECT_THAT(Hand(0, 1).name("k").put(kArray).put(kU32).put(kAllOnes).refusal(),
                HasSubstr("elements of k"));
    EXPECT_THAT(Hand(0, 1).name("k").put(kString).put(kAllOnes).refusal(), HasSubstr("k at byte"));
    EXPECT_THAT(Hand(0, kAllOnes).refusal(), HasSubstr("metadata pairs"));
    for (const std::uint32_t bad : {0u, 24u, 1u << 31})
        EXPECT_THAT(Hand(0, 1).name("general.alignment").put(kU32).put(bad).refusal(),
                    HasSubstr("expected a power of two"));
}

TEST(Parse, NamesCountsBeyondTheLimits) {
    using testing::HasSubstr;
    constexpr std::uint32_t kU8 = 0, kString = 8, kArray = 9;
    const std::string zeros(limits::kSmallElements * 8 + 64, '\0');  // enough for a string each
    const auto refusal = [&](const ByteWriter& begin) {
        std::vector<std::byte> bytes = begin.bytes();
        const auto more = std::as_bytes(std::span(zeros));
        bytes.insert(bytes.end(), more.begin(), more.end());
        try {
            parse_header(bytes, "large");
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("nothing");
    };
    const auto begin = [](std::uint64_t n_tensors, std::uint64_t n_pairs) {
        ByteWriter out;
        out.write_text("GGUF");
        out.write(std::uint32_t{3});
        out.write(n_tensors);
        out.write(n_pairs);
        return out;
    };
    EXPECT_EQ(refusal(begin(limits::kTensors + 1, 0)), "large: has 131073 tensors, expected at most 131072");
    EXPECT_EQ(refusal(begin(0, limits::kPairs + 1)),
              "large: has 262145 metadata pairs, expected at most 262144");
    for (const std::uint32_t element : {kU8, kString})
        for (const std::uint64_t over : {0, 1}) {
            ByteWriter out = begin(0, 1);
            out.write(std::uint64_t{1});
            out.write_text("k");
            out.write(kArray);
            out.write(element);
            out.write(limits::kSmallElements + over);
            EXPECT_EQ(refusal(out),
                      over == 0 ? "nothing" : "large: has 4194305 elements of k, expected at most 4194304");
        }
}

TEST(Parse, TellsOtherFilesApart) {
    using testing::HasSubstr;
    EXPECT_THAT(Hand(0, 0, 1).refusal(), HasSubstr("GGUF version 1"));
    EXPECT_THAT(Hand(0, 0, 4).refusal(), HasSubstr("GGUF version 4"));
    EXPECT_THAT(Hand(0, 0, 0x03000000).refusal(), HasSubstr("big-endian"));
    EXPECT_EQ(Hand(0, 0, 2).refusal(), "nothing");
    const auto other = [](std::string_view bytes) {
        try {
            parse_header(std::as_bytes(std::span(bytes)), "other");
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string("nothing");
    };
    EXPECT_EQ(other("\x01\x02\x03\x04"), "other: is not a GGUF file: it does not begin with \"GGUF\"");
    EXPECT_EQ(other("<html>"), "other: is not a GGUF file but a web page");
    EXPECT_EQ(other(""), "other: is not a GGUF file but an empty file");
}

/// Tensors "a" and "b" of four floats at these offsets, with these bytes between header and data end.
std::vector<std::byte> two_tensors(std::uint32_t alignment, std::uint64_t a, std::uint64_t b,
                                   std::size_t data_bytes, bool b_first = false) {
    ByteWriter out;
    const auto name = [&](std::string_view text) {
        out.write(std::uint64_t{text.size()});
        out.write_text(text);
    };
    out.write_text("GGUF");
    out.write(std::uint32_t{3});
    out.write(std::uint64_t{2});
    out.write(std::uint64_t{1});
    name("general.alignment");
    out.write(std::uint32_t{4});
    out.write(alignment);
    const auto tensor = [&](std::string_view text, std::uint64_t offset) {
        name(text);
        out.write(std::uint32_t{1});
        out.write(std::uint64_t{4});
        out.write(kF32);
        out.write(offset);
    };
    if (b_first) tensor("b", b);
    tensor("a", a);
    if (!b_first) tensor("b", b);
    out.pad(alignment);
    std::vector<std::byte> bytes = out.bytes();
    bytes.resize(bytes.size() + data_bytes);
    return bytes;
}

TEST(Parse, TakesLayoutsThatOthersWrite) {
    const auto offsets = [](const std::vector<std::byte>& bytes) {
        std::map<std::string, std::uint64_t> found;
        for (const Tensor& tensor : parse_header(bytes, "other").tensors)
            found[tensor.name] = bytes.size() - tensor.offset_bytes;
        return std::pair(found["a"], found["b"]);
    };
    using Pair = std::pair<std::uint64_t, std::uint64_t>;  // bytes from the tensors to the end
    EXPECT_EQ(offsets(two_tensors(8, 0, 16, 32)), Pair(32, 16));
    EXPECT_EQ(offsets(two_tensors(64, 0, 64, 128)), Pair(128, 64));
    EXPECT_EQ(offsets(two_tensors(64, 0, 64, 80)), Pair(80, 16)) << "no padding at the end";
    EXPECT_EQ(offsets(two_tensors(32, 0, 96, 112)), Pair(112, 16)) << "a gap";
    EXPECT_EQ(offsets(two_tensors(32, 32, 0, 48)), Pair(16, 48)) << "data in another order";
    EXPECT_EQ(offsets(two_tensors(32, 0, 32, 48, true)), Pair(48, 16)) << "tensors in another order";
    EXPECT_THROW(parse_header(two_tensors(48, 0, 48, 96), "other"), Error);
}

TEST(Parse, TakesEmptyStringsAndIntegersOfAnyWidth) {
    Writer writer;
    writer.add("a", text(""));
    writer.add("b", texts({}));
    writer.add("c", Value{ValueType::Array, ValueType::U8, Integers{}});
    writer.add("d", u64(2048));
    writer.add("e", i32(4));
    const Header header = parse_header(writer.bytes(), "other");
    EXPECT_EQ(header.metadata.get_string("a"), "");
    EXPECT_TRUE(header.metadata.find_strings("b")->empty());
    EXPECT_TRUE(header.metadata.find_integers("c")->empty());
    EXPECT_EQ(header.metadata.get_integer("d"), 2048);
    EXPECT_EQ(header.metadata.get_integer("e"), 4);
}

}  // namespace
}  // namespace assay::gguf
