#include "imatrix/file.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "gguf/file.h"
#include "gguf/writer.h"
#include "sample.h"

namespace assay::imatrix {
namespace {

Matrix reread(const Matrix& matrix, Format format) {
    Notes notes;
    return parse(serialise(matrix, format, notes), "sample", {4}, notes);
}

/// A GGUF file with one weight "w" whose tensors are as given.
std::vector<std::byte> one_weight(std::vector<float> sums, std::vector<std::uint64_t> shape,
                                  std::vector<float> counts, std::vector<float> in_sum = {},
                                  std::string name = "w") {
    gguf::Writer writer;
    writer.add("imatrix.chunk_size", gguf::u32(4));
    const auto add = [&](const std::string& suffix, std::vector<std::uint64_t> ne,
                         const std::vector<float>& data) {
        if (!data.empty())
            writer.add_tensor(name + suffix, std::move(ne), quant::TypeId::F32,
                              std::as_bytes(std::span(data)));
    };
    add(".in_sum2", std::move(shape), sums);
    add(".counts", {1, counts.size()}, counts);
    add(".in_sum", {in_sum.size()}, in_sum);
    return writer.bytes();
}

Matrix parse_bytes(const std::vector<std::byte>& bytes, LoadOptions options = {}) {
    Notes notes;
    return parse(bytes, "one.gguf", options, notes);
}

TEST(Gguf, WritesTheGoldenBytes) {
    Notes notes;
    EXPECT_EQ(serialise(sample(), Format::Gguf2025, notes), golden_bytes("sample.gguf"));
    EXPECT_EQ(notes, (Notes{"entry '                blk.0.ffn_up_exps.weight' has partial data (66.67%)"}));
}

/// However large the matrix is: a file is written beside what a run needs all its memory for.
TEST(Content, ComesInPiecesAsOftenAsItIsAsked) {
    Matrix matrix = sample();
    Entry& entry = matrix.entries.begin()->second;
    entry = {.width = 100000, .sum_sq = std::vector<double>(100000, 1.0 + 0x1p-40), .sum = {}, .counts = {3}};
    entry.sum.assign(100000, 2);
    for (const Format format : {Format::Gguf, Format::Gguf2025, Format::GgufExact, Format::Legacy}) {
        Notes notes;
        const std::vector<std::byte> all = serialise(matrix, format, notes);
        const FileContent file = content(matrix, format, notes);
        EXPECT_EQ(file.size_bytes, all.size());
        for (int time = 0; time < 2; ++time) {
            std::vector<std::byte> bytes;
            std::size_t largest = 0;
            file.write([&](std::span<const std::byte> piece) {
                bytes.insert(bytes.end(), piece.begin(), piece.end());
                largest = std::max(largest, piece.size());
            });
            EXPECT_TRUE(bytes == all);
            const bool by_entry = format == Format::Legacy;
            EXPECT_LE(largest, by_entry ? 4 * 100000u + 100 : 131072u);
        }
    }
}

TEST(Gguf, SaysHowManyBlocksPredictAhead) {
    Matrix matrix = sample();
    const auto without = reread(matrix, Format::Gguf);
    EXPECT_EQ(without.n_layer_nextn, 0u);
    matrix.n_layer_nextn = 2;
    EXPECT_EQ(reread(matrix, Format::Gguf).n_layer_nextn, 2u);
    EXPECT_EQ(reread(matrix, Format::Gguf2025).n_layer_nextn, 0u);
    gguf::Writer writer;
    writer.add("imatrix.n_layer_nextn", gguf::i32(-1));
    const std::vector<float> one{1};
    for (const char* name : {"w.in_sum2", "w.counts"})
        writer.add_tensor(name, {1}, quant::TypeId::F32, std::as_bytes(std::span(one)));
    EXPECT_EQ(message_of([&] { parse_bytes(writer.bytes()); }),
              "one.gguf: imatrix.n_layer_nextn is -1, expected 0 to 4096");
}

// Sums of x without those of squares belong to nothing; numbers about an entry are not read.
TEST(Gguf, RefusesSumsOfXAloneAndIgnoresStats) {
    const std::vector<float> one{1};
    const auto with = [&](std::string name) {
        gguf::Writer writer;
        writer.add("imatrix.chunk_size", gguf::u32(4));
        for (const std::string& tensor : {std::string("w.in_sum2"), std::string("w.counts"), name})
            writer.add_tensor(tensor, {1}, quant::TypeId::F32, std::as_bytes(std::span(one)));
        return writer.bytes();
    };
    EXPECT_EQ(message_of([&] { parse_bytes(with("v.in_sum")); }),
              "one.gguf: mismatched sums and counts for v: in_sum2 absent, counts absent, in_sum [1]");
    EXPECT_EQ(parse_bytes(with("v.stats")).entries.size(), 1u);
}

// Read and written again, a file of llama-imatrix keeps every byte.
TEST(Gguf, WritesWhatLlamaImatrixWrote) {
    const auto bytes = golden_bytes("peer.gguf");
    Notes notes;
    EXPECT_EQ(serialise(parse(bytes, "peer.gguf", {}, notes), Format::Gguf2025, notes), bytes);
    EXPECT_TRUE(notes.empty());
}

TEST(Gguf, StoresShapesAndOrderAsReadersExpect) {
    Notes notes;
    const auto bytes = serialise(sample(), Format::Gguf, notes);
    const auto header = gguf::parse_header(bytes, "sample");
    std::vector<std::string> found;
    for (const auto& tensor : header.tensors) found.push_back(tensor.name + " " + tensor.shape_text());
    EXPECT_EQ(found, (std::vector<std::string>{
                         "blk.0.attn_k_b.weight.in_sum2 [4]", "blk.0.attn_k_b.weight.counts [1]",
                         "blk.0.attn_k_b.weight.stats [12]", "blk.0.attn_q.weight.in_sum2 [3]",
                         "blk.0.attn_q.weight.counts [1]", "blk.0.attn_q.weight.in_sum [3]",
                         "blk.0.attn_q.weight.stats [12]", "blk.0.ffn_up_exps.weight.in_sum2 [2, 3]",
                         "blk.0.ffn_up_exps.weight.counts [1, 3]", "blk.0.ffn_up_exps.weight.in_sum [2, 3]",
                         "blk.0.ffn_up_exps.weight.stats [12]"}));
}

TEST(Gguf, RoundTripKeepsEverything) {
    Matrix matrix = sample();
    matrix.extra.set("assay.next_chunk", gguf::u32(2));
    const Matrix back = reread(matrix, Format::Gguf);
    ASSERT_EQ(back.entries.size(), matrix.entries.size());
    for (const auto& [name, entry] : matrix.entries) {
        EXPECT_EQ(back.entries.at(name).sum_sq, entry.sum_sq) << name;
        EXPECT_EQ(back.entries.at(name).sum, entry.sum) << name;
        EXPECT_EQ(back.entries.at(name).counts, entry.counts) << name;
    }
    EXPECT_EQ(back.datasets, matrix.datasets);
    EXPECT_EQ(back.chunk_size, 4u);
    EXPECT_EQ(back.chunk_count, 2u);
    EXPECT_EQ(back.extra.get_integer("assay.next_chunk"), 2);
}

TEST(Gguf, ExactFormKeepsWhatF32Loses) {
    Matrix matrix = sample();
    Entry& entry = matrix.entries.at("blk.0.attn_q.weight");
    entry.sum_sq = {1.0 / 3, 1e7 + 0.1, 0};
    entry.sum = {-1.0 / 7, 0, 2};
    entry.counts = {(1u << 24) + 1};
    entry.sum_sq_low = {0x1p-60F, -0x1p-33F, 0};
    entry.sum_low = {0x1p-60F, 0, 0};
    const Matrix lossy = reread(matrix, Format::Gguf), exact = reread(matrix, Format::GgufExact);
    EXPECT_NE(lossy.entries.at("blk.0.attn_q.weight").sum_sq, entry.sum_sq);
    EXPECT_EQ(exact.entries.at("blk.0.attn_q.weight"), entry);
    EXPECT_TRUE(exact.extra.values().empty());
}

TEST(Gguf, RefusesAnExactFormThatContradictsTheTensors) {
    Notes notes;
    Matrix matrix = sample();
    matrix.entries.at("blk.0.attn_q.weight").sum_sq[0] += 0.1;
    matrix.entries.at("blk.0.attn_q.weight").counts[0] = (1u << 24) + 1;
    const auto bytes = serialise(matrix, Format::GgufExact, notes);
    for (const gguf::Tensor& tensor : gguf::parse_header(bytes, "sample").tensors) {
        if (!tensor.name.ends_with("_rest")) continue;
        auto broken = bytes;
        broken[tensor.offset_bytes + 7] ^= std::byte{0x40};  // another exponent, or another number by far
        EXPECT_NE(message_of([&] { parse_bytes(broken); }).find(" contradicts "), std::string::npos)
            << tensor.name;
    }
}

TEST(Gguf, RefusesAnExactFormOfOtherShapes) {
    const auto with_rest = [](std::string name, std::vector<std::uint64_t> ne, quant::TypeId type) {
        const std::vector<float> sums{1, 2}, counts{4};
        const std::vector<double> rest(4);
        gguf::Writer writer;
        writer.add("imatrix.chunk_size", gguf::u32(4));
        writer.add_tensor("w.in_sum2", {2}, quant::TypeId::F32, std::as_bytes(std::span(sums)));
        writer.add_tensor("w.counts", {1}, quant::TypeId::F32, std::as_bytes(std::span(counts)));
        const std::size_t size = ne[0] * (type == quant::TypeId::F64 ? 8 : 4);
        writer.add_tensor(std::move(name), ne, type, std::as_bytes(std::span(rest)).first(size));
        return message_of([&] { parse_bytes(writer.bytes()); });
    };
    EXPECT_EQ(with_rest("w.in_sum2_rest", {2}, quant::TypeId::F64), "");
    EXPECT_EQ(with_rest("w.in_sum2_rest", {3}, quant::TypeId::F64),
              "one.gguf: tensor w.in_sum2_rest is f64 [3], expected 2 of f64");
    EXPECT_EQ(with_rest("w.in_sum2_rest", {2}, quant::TypeId::F32),
              "one.gguf: tensor w.in_sum2_rest is f32 [2], expected 2 of f64");
    EXPECT_EQ(with_rest("w.counts_rest", {2}, quant::TypeId::F64),
              "one.gguf: tensor w.counts_rest is f64 [2], expected 1 of f64");
}

TEST(Gguf, RefusesNumbersOutOfTheirRanges) {
    const auto refusal = [](const std::string& key, std::int64_t value) {
        const std::vector<float> sums{1, 2}, counts{4};
        gguf::Writer writer;
        writer.add(key, {gguf::ValueType::I64, {}, value});
        writer.add_tensor("w.in_sum2", {2}, quant::TypeId::F32, std::as_bytes(std::span(sums)));
        writer.add_tensor("w.counts", {1}, quant::TypeId::F32, std::as_bytes(std::span(counts)));
        return message_of([&] { parse_bytes(writer.bytes()); });
    };
    for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{1} << 32}) {
        EXPECT_EQ(refusal("imatrix.chunk_size", bad),
                  fmt::format("one.gguf: imatrix.chunk_size is {}, expected 1 to 2^32 - 1", bad));
    }
    for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{4097}, std::int64_t{UINT32_MAX}})
        EXPECT_EQ(refusal("imatrix.n_layer_nextn", bad),
                  fmt::format("one.gguf: imatrix.n_layer_nextn is {}, expected 0 to 4096", bad));
    EXPECT_EQ(refusal("imatrix.n_layer_nextn", 4096), "");
    EXPECT_EQ(refusal("imatrix.chunk_size", 4), "");
    Notes notes;
    EXPECT_EQ(message_of([&] { parse(serialise(sample(), Format::Gguf, notes), "s", {0}, notes); }),
              "s: cannot be read with chunks of 0 tokens");
}

TEST(Gguf, CollapsesTheEqualCountsOfHeads) {
    const auto heads = parse_bytes(one_weight({1, 2, 3, 4}, {2, 2}, {8, 8}, {}, "blk.0.attn_v_b.weight"));
    EXPECT_EQ(heads.entries.at("blk.0.attn_v_b.weight").counts, std::vector<double>{8});
    const auto experts =
        parse_bytes(one_weight({1, 2, 3, 4}, {2, 2}, {8, 8}, {}, "blk.0.ffn_up_exps.weight"));
    EXPECT_EQ(experts.entries.at("blk.0.ffn_up_exps.weight").counts.size(), 2u);
}

TEST(Gguf, RefusesShapesThatDoNotFit) {
    EXPECT_NE(message_of([] { parse_bytes(one_weight({1, 2, 3}, {3}, {1, 1})); }), "");
    EXPECT_NE(message_of([] { parse_bytes(one_weight({1, 2, 3}, {3}, {})); }), "");
    EXPECT_NE(message_of([] { parse_bytes(one_weight({}, {}, {1})); }), "");
    EXPECT_EQ(message_of([] {
                  parse_bytes(one_weight({1, 2}, {2}, {1}, {1, 2, 3}));
              }),
              "one.gguf: mismatched sums and counts for w: in_sum2 [2], counts [1], in_sum [3]");
    EXPECT_NE(message_of([] { parse_bytes(one_weight({}, {}, {})); }).find("no data in file"),
              std::string::npos);
}

TEST(Gguf, RefusesNumbersThatAreNoSums) {
    const float nan = std::nanf("");
    for (const float bad : {nan, INFINITY, -INFINITY, -1.0f})
        EXPECT_NE(message_of([&] { parse_bytes(one_weight({1, bad}, {2}, {1})); }), "") << bad;
    for (const float bad : {nan, INFINITY, -INFINITY, -1.0f, 1e30f})
        EXPECT_NE(message_of([&] { parse_bytes(one_weight({1, 2}, {2}, {bad})); }), "") << bad;
    for (const float bad : {nan, INFINITY, -INFINITY})
        EXPECT_NE(message_of([&] { parse_bytes(one_weight({1, 2}, {2}, {1}, {1, bad})); }), "") << bad;
    EXPECT_EQ(message_of([] { parse_bytes(one_weight({1, 2}, {2}, {1}, {1, -3})); }), "");
}

TEST(Gguf, RefusesEveryTruncation) {
    Notes notes;
    const auto bytes = serialise(sample(), Format::Gguf, notes);
    const auto header = gguf::parse_header(bytes, "sample");
    const std::size_t data_end = header.tensors.back().offset_bytes + header.tensors.back().size_bytes;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        EXPECT_EQ(message_of([&] { parse_bytes(part); }).empty(), n >= data_end) << n;
    }
}

TEST(Gguf, SurvivesEveryFlippedByte) {
    Notes notes;
    Matrix matrix = sample();
    matrix.entries.at("blk.0.attn_q.weight").sum_sq[0] += 0.1;
    const auto bytes = serialise(matrix, Format::GgufExact, notes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto broken = bytes;
        broken[i] ^= std::byte{0xff};
        message_of([&] { parse_bytes(broken); });  // an Error or a matrix, nothing else
    }
}

TEST(Gguf, TakesItsOwnChunkSizeAndSaysSo) {
    Notes notes;
    const auto bytes = serialise(sample(), Format::Gguf, notes);
    notes.clear();
    EXPECT_EQ(parse(bytes, "s", {4}, notes).chunk_size, 4u);
    EXPECT_TRUE(notes.empty());
    EXPECT_EQ(parse(bytes, "s", {512}, notes).chunk_size, 4u);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find("made with chunks of 4 tokens"), std::string::npos);
}

TEST(Gguf, LeavesOutNamesThatReadersCut) {
    Matrix matrix = sample();
    const std::string fits(55, 'x'), too_long(56, 'y');
    matrix.entries[fits] = {1, {1}, {1}, {1}};
    matrix.entries[too_long] = {1, {1}, {1}, {1}};
    Notes notes;
    const auto back = parse(serialise(matrix, Format::Gguf, notes), "s", {}, notes);
    EXPECT_TRUE(back.entries.contains(fits));
    EXPECT_FALSE(back.entries.contains(too_long));
    ASSERT_EQ(notes.size(), 2u);
    EXPECT_NE(notes[1].find("its name has 56 bytes"), std::string::npos);
}

TEST(Serialise, RefusesWhatCannotBeStored) {
    Notes notes;
    for (const double bad : {std::nan(""), 1e39, -HUGE_VAL}) {
        Matrix matrix = sample();
        matrix.entries.at("blk.0.attn_q.weight").sum_sq[1] = bad;
        EXPECT_NE(message_of([&] { serialise(matrix, Format::Gguf, notes); }), "") << bad;
        EXPECT_NE(message_of([&] { serialise(matrix, Format::Legacy, notes); }), "") << bad;
    }
    Matrix matrix = sample();
    matrix.entries.at("blk.0.attn_q.weight").counts = {1, 1};
    EXPECT_EQ(message_of([&] { serialise(matrix, Format::Gguf, notes); }),
              "blk.0.attn_q.weight: 3 sums of squares, 3 sums and 2 counts do not fit together");
    for (const Entry& bad : {Entry{1, {1}, {}, {}}, Entry{1, {}, {}, {1}}, Entry{2, {1, 2}, {1}, {1}},
                             Entry{2, {1, 2}, {}, {1}, {1}}, Entry{2, {1, 2}, {1, 2}, {1}, {}, {1}}}) {
        matrix = sample();
        matrix.entries["w"] = bad;
        EXPECT_NE(message_of([&] { serialise(matrix, Format::Gguf, notes); }).find("do not fit together"),
                  std::string::npos);
    }
    matrix = sample();
    matrix.chunk_size = 0;
    EXPECT_NE(message_of([&] { serialise(matrix, Format::Legacy, notes); }), "");
}

TEST(Format, FollowsTheSuffixUnlessAsked) {
    EXPECT_EQ(format_for("a/b.gguf", {}), Format::Gguf);
    EXPECT_EQ(format_for("imatrix.dat", {}), Format::Legacy);
    EXPECT_EQ(format_for("imatrix.gguf.at_10", {}), Format::Legacy);
    EXPECT_EQ(format_for("imatrix", {}), Format::Legacy);
    EXPECT_EQ(format_for("imatrix.dat", Format::Gguf), Format::Gguf);
    EXPECT_EQ(format_for("imatrix.gguf", Format::Legacy), Format::Legacy);
    EXPECT_EQ(format_for("a/b.gguf", {}, Form::Of2025), Format::Gguf2025);
    EXPECT_EQ(format_for("imatrix.dat", Format::Gguf, Form::Of2025), Format::Gguf2025);
    EXPECT_EQ(format_for("imatrix.dat", {}, Form::Of2025), Format::Legacy);
}

TEST(File, LegacyOfDenseWeightsComesBackTheSame) {
    Notes notes;
    const Matrix matrix = parse(golden_bytes("peer.gguf"), "peer.gguf", {}, notes);
    const Matrix back = reread(matrix, Format::Legacy);
    for (const auto& [name, entry] : matrix.entries) {
        const double tokens = static_cast<double>(entry.counts[0]);
        const double calls = static_cast<double>(back.entries.at(name).counts[0]) / tokens;
        for (std::size_t i = 0; i < entry.sum_sq.size(); ++i)
            // Mean and product round once each: two half units in the last place of F32.
            EXPECT_NEAR(back.entries.at(name).sum_sq[i], entry.sum_sq[i] * calls,
                        entry.sum_sq[i] * calls * 0x1p-23);
    }
}

TEST(File, SaveThenLoad) {
    const auto folder = std::filesystem::path(testing::TempDir());
    const auto path = folder / ("assay-imatrix-" + std::to_string(::getpid()) + ".gguf");
    Notes notes;
    save(sample(), path, Format::Gguf, notes);
    EXPECT_EQ(load(path, {}, notes).entries.size(), 3u);
    std::filesystem::remove(path);
    EXPECT_NE(message_of([&] { load(path, {}, notes); }), "");
}

TEST(Save, WritesNoMatrixThatNoReaderTakes) {
    Matrix matrix;
    matrix.chunk_size = 512;
    Notes notes;
    for (const Format format : {Format::Gguf, Format::Legacy})
        EXPECT_THAT(message_of([&] { serialise(matrix, format, notes); }), testing::HasSubstr("no data"));
    Entry& entry = matrix.entries["blk.0.attn_q.weight"];
    entry.width = 2;
    entry.sum_sq = {0, 0};
    entry.counts = {0};
    for (const Format format : {Format::Gguf, Format::Legacy})
        EXPECT_THAT(message_of([&] { serialise(matrix, format, notes); }), testing::HasSubstr("no data"));
}

TEST(Gguf, TakesWhatOtherWritersLeaveOut) {
    const auto made = [](std::vector<std::pair<std::string, gguf::Value>> pairs) {
        const std::vector<float> sums{1, 2, 3, 4}, counts{9};
        gguf::Writer writer;
        for (auto& [key, value] : pairs) writer.add(key, value);
        writer.add_tensor("blk.0.ffn_up_exps.weight.in_sum2", {4, 1}, quant::TypeId::F32,
                          std::as_bytes(std::span(sums)));
        writer.add_tensor("blk.0.ffn_up_exps.weight.counts", {1, 1}, quant::TypeId::F32,
                          std::as_bytes(std::span(counts)));
        return parse_bytes(writer.bytes());
    };
    EXPECT_EQ(made({{"imatrix.chunk_size", gguf::u32(4)}}).entries.begin()->second.counts.size(), 1u)
        << "of all experts";
    EXPECT_TRUE(made({{"imatrix.chunk_size", gguf::u32(4)}}).datasets.empty());
    EXPECT_EQ(made({}).chunk_size, kDefaultChunkSize);
    EXPECT_NE(message_of([&] { made({{"imatrix.chunk_size", gguf::u32(0)}}); }), "");
    EXPECT_NE(message_of([&] { made({{"imatrix.datasets", gguf::text("one.txt")}}); }), "");
}

TEST(Gguf, TakesNamesOfAnyForm) {
    for (const std::string name :
         {"blk.99999999999999999999.a.weight", "blk.-1.a.weight", "blk.x.a.weight", "blk..weight", "blk.0",
          "weight", "mtp_pre_proj.weight", "blk.007.a.weight"}) {
        Matrix matrix = parse_bytes(one_weight({1, 2}, {2}, {4}, {}, name));
        ASSERT_EQ(matrix.entries.begin()->first, name);
        for (const Format format : {Format::Gguf, Format::Legacy})
            EXPECT_EQ(reread(matrix, format).entries.begin()->first, name);
    }
}

}  // namespace
}  // namespace assay::imatrix
