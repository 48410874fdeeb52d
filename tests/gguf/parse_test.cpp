#include <gtest/gtest.h>

#include "core/error.h"
#include "gguf/file.h"
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

TEST(Parse, RefusesEveryTruncation) {
    const auto bytes = sample();
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        EXPECT_THROW(parse_header(part, "cut"), Error) << n;
    }
}

}  // namespace
}  // namespace assay::gguf
