// The scalar decoders against the `gguf` Python package (tests/golden/quant/make_golden.py) and ik_llama.cpp
// (make_golden_ik.py there), bit for bit: all multiply in the same order. Types that neither decodes are
// computed by hand below.
#include <array>
#include <bit>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "quant/golden.h"
#include "quant/iq_grids.h"
#include "quant/row_reader.h"
#include "quant/type_table.h"

namespace assay::quant {
namespace {

/// A file of blocks of whole rows that lie together, and their weights. ik_llama.cpp adds the offset of some
/// types after the product, which makes +0 of what is -0 here: `zeros_alike`.
void expect_golden(const TypeInfo& type, const std::string& file, bool zeros_alike) {
    const std::vector<char> golden = read_golden(file);
    ASSERT_GE(golden.size(), 4u);
    std::uint32_t n_blocks = 0;
    std::memcpy(&n_blocks, golden.data(), sizeof n_blocks);
    const std::size_t n_in = std::size_t{n_blocks} * type.block;
    const std::size_t n = n_in * type.group_rows;
    const std::uint64_t n_bytes = row_bytes(type, n_in) * type.group_rows;
    ASSERT_EQ(golden.size(), 4 + n_bytes + 4 * n);

    // Exactly the row's bytes on the heap, so that a sanitizer sees a read past them.
    const std::vector<char> row(golden.data() + 4, golden.data() + 4 + n_bytes);
    std::vector<float> expected(n);
    std::memcpy(expected.data(), golden.data() + 4 + n_bytes, 4 * n);
    std::vector<float> found(n);
    type.decode(reinterpret_cast<const std::byte*>(row.data()), n_in, found.data());
    for (std::size_t i = 0; i < n; ++i) {
        if (zeros_alike && found[i] == 0 && expected[i] == 0) continue;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(found[i]), std::bit_cast<std::uint32_t>(expected[i]))
            << "weight " << i << ": " << found[i] << ", expected " << expected[i];
    }
}

class Golden : public testing::TestWithParam<std::string_view> {};

TEST_P(Golden, EqualsGgufPythonPackage) {
    const TypeInfo* type = type_named(GetParam());
    ASSERT_NE(type, nullptr);
    expect_golden(*type, lower_name(*type) + ".bin", false);
}

INSTANTIATE_TEST_SUITE_P(Decode, Golden,
                         testing::Values("f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_K",
                                         "q3_K", "q4_K", "q5_K", "q6_K", "iq1_s", "iq1_m", "iq2_xxs",
                                         "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_nl", "iq4_xs", "tq1_0",
                                         "tq2_0", "mxfp4", "nvfp4"),
                         [](const auto& instance) { return std::string(instance.param); });

std::vector<std::string_view> ik_types() {
    std::vector<std::string_view> names;
    for (const TypeInfo& type : all_types())
        if (type.id >= TypeId::Q6_0) names.push_back(type.name);
    return names;
}

class GoldenIk : public testing::TestWithParam<std::string_view> {};

TEST_P(GoldenIk, EqualsIkLlama) {
    const TypeInfo* type = type_named(GetParam());
    ASSERT_NE(type, nullptr);
    expect_golden(*type, "ik_" + lower_name(*type) + ".bin", true);
}

INSTANTIATE_TEST_SUITE_P(Decode, GoldenIk, testing::ValuesIn(ik_types()),
                         [](const auto& instance) { return std::string(instance.param); });

// The golden files are short; this says where a row's further blocks and the other rows' scales lie.
TEST(DecodeIk, EveryBlockOfARowStandsAlone) {
    std::mt19937 random(11);
    for (const TypeInfo& type : all_types()) {
        const std::size_t meta = std::size_t{type.row_meta} * type.group_rows;
        const std::size_t share = std::size_t{type.block_bytes} * type.group_rows;
        std::vector<std::byte> rows(meta + 3 * share);
        for (std::byte& b : rows) b = static_cast<std::byte>(random() & 0xbf);  // no half is infinite
        std::vector<float> together(std::size_t{3} * type.block * type.group_rows);
        type.decode(rows.data(), std::size_t{3} * type.block, together.data());
        std::vector<float> alone(std::size_t{type.block} * type.group_rows);
        for (std::size_t b = 0; b < 3; ++b) {
            std::vector<std::byte> one(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(meta));
            const auto* from = rows.data() + meta + b * share;
            one.insert(one.end(), from, from + share);
            type.decode(one.data(), type.block, alone.data());
            for (std::size_t row = 0; row < type.group_rows; ++row)
                ASSERT_EQ(
                    std::memcmp(alone.data() + row * type.block, together.data() + (3 * row + b) * type.block,
                                4 * std::size_t{type.block}),
                    0)
                    << type.name << " block " << b << " row " << row;
        }
    }
}

TEST(RowReaderTest, FindsEachRowOfAGroup) {
    std::mt19937 random(12);
    for (const TypeId id :
         {TypeId::Q4_K, TypeId::IQ4_KS, TypeId::Q4_K_R4, TypeId::IQ5_KS_R4, TypeId::Q8_K_R16}) {
        const TypeInfo& type = type_info(id);
        constexpr std::size_t kIn = 512;
        const std::size_t n_rows = std::size_t{3} * type.group_rows;
        std::vector<std::byte> matrix(row_bytes(type, kIn) * n_rows);
        for (std::byte& b : matrix) b = static_cast<std::byte>(random() & 0xbf);
        std::vector<float> rows(kIn * n_rows);
        for (std::size_t r = 0; r < n_rows; r += type.group_rows)
            type.decode(matrix.data() + r * row_bytes(type, kIn), kIn, rows.data() + r * kIn);
        RowReader reader(type, kIn, detect_isa());
        std::vector<float> found(kIn);
        for (std::size_t r = n_rows; r-- > 0;) {
            reader.read(matrix.data(), r, found.data());
            ASSERT_EQ(std::memcmp(found.data(), rows.data() + r * kIn, 4 * kIn), 0)
                << type.name << " row " << r;
        }
    }
}

template <typename Table> std::uint64_t fnv1a(const Table& table) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const auto& point : table)
        for (const std::int8_t v : point) hash = (hash ^ static_cast<std::uint8_t>(v)) * 0x100000001b3u;
    return hash;
}

// A few golden blocks touch few grid points; these sums, printed by scripts/make_iq_grids.py from the
// package's own tables, cover all.
TEST(IqGrids, EveryPointIsThatOfTheFormat) {
    EXPECT_EQ(fnv1a(kGridIq1), 0x6703ed863501ae2eu);
    EXPECT_EQ(fnv1a(kGridIq2Xxs), 0xbb4ee025b5ac6e8eu);
    EXPECT_EQ(fnv1a(kGridIq2Xs), 0xc9b1ee61e79909bdu);
    EXPECT_EQ(fnv1a(kGridIq2S), 0x123edd38a3b62b90u);
    EXPECT_EQ(fnv1a(kGridIq3Xxs), 0xdfa5dc83d6a155d5u);
    EXPECT_EQ(fnv1a(kGridIq3S), 0xfa37020c25b44829u);
}

/// Decodes one block given as bytes.
template <std::size_t kBytes>
std::vector<float> decode(TypeId id, const std::array<std::uint8_t, kBytes>& bytes) {
    const TypeInfo& type = type_info(id);
    EXPECT_EQ(kBytes % type.block_bytes, 0u);
    std::vector<float> out(kBytes / type.block_bytes * type.block);
    type.decode(reinterpret_cast<const std::byte*>(bytes.data()), out.size(), out.data());
    return out;
}

TEST(DecodeByHand, Q1_0IsASignPerBit) {
    std::array<std::uint8_t, 18> block{0x00, 0x38};  // 0.5
    block[2] = 0b10000001;
    block[17] = 0x80;
    const std::vector<float> w = decode(TypeId::Q1_0, block);
    ASSERT_EQ(w.size(), 128u);
    for (std::size_t i = 0; i < 128; ++i) EXPECT_EQ(w[i], i == 0 || i == 7 || i == 127 ? 0.5f : -0.5f) << i;
}

TEST(DecodeByHand, Q2_0HasFourSteps) {
    std::array<std::uint8_t, 18> block{0x00, 0xc0};  // -2
    block[2] = 0b11100100;                           // codes 0, 1, 2, 3
    block[17] = 0b01000000;                          // last code 1
    const std::vector<float> w = decode(TypeId::Q2_0, block);
    ASSERT_EQ(w.size(), 64u);
    EXPECT_EQ(w[0], 2.0f);
    EXPECT_EQ(w[1], 0.0f);
    EXPECT_EQ(w[2], -2.0f);
    EXPECT_EQ(w[3], -4.0f);
    EXPECT_EQ(w[62], 2.0f);
    EXPECT_EQ(w[63], 0.0f);
}

TEST(DecodeByHand, Q8_1IgnoresTheSum) {
    std::array<std::uint8_t, 36> block{0x01, 0x00, 0xff, 0x7b};  // d = 2^-24, s = 65504
    block[4] = 0x80;
    block[35] = 127;
    const std::vector<float> w = decode(TypeId::Q8_1, block);
    EXPECT_EQ(w[0], -0x1p-17f);
    EXPECT_EQ(w[1], 0.0f);
    EXPECT_EQ(w[31], 127 * 0x1p-24f);
}

TEST(DecodeByHand, Q8_KHasAFloatScale) {
    std::array<std::uint8_t, 292> block{0x00, 0x00, 0x80, 0x3e};  // 0.25
    block[4] = 0xff;
    block[259] = 100;
    block[260] = 99;  // the first of the sums, no weight
    const std::vector<float> w = decode(TypeId::Q8_K, block);
    EXPECT_EQ(w[0], -0.25f);
    EXPECT_EQ(w[255], 25.0f);
}

TEST(DecodeByHand, PlainNumbers) {
    EXPECT_EQ(decode<4>(TypeId::F32, {0x00, 0x00, 0xc0, 0xbf}), std::vector{-1.5f});
    EXPECT_EQ(decode<2>(TypeId::I8, {0x80, 0x7f}), (std::vector{-128.0f, 127.0f}));
    EXPECT_EQ(decode<2>(TypeId::I16, {0xfe, 0xff}), std::vector{-2.0f});
    EXPECT_EQ(decode<4>(TypeId::I32, {0x00, 0x00, 0x00, 0x80}), std::vector{-2147483648.0f});
    EXPECT_EQ(decode<8>(TypeId::I64, {0, 0, 0, 0, 1, 0, 0, 0}), std::vector{4294967296.0f});
    EXPECT_EQ(decode<8>(TypeId::F64, {0, 0, 0, 0, 0, 0, 0xf8, 0xbf}), std::vector{-1.5f});
}

// E8M0: an OCP NaN is a number here, as in ggml.
TEST(DecodeByHand, Mxfp4TakesTheLargestExponent) {
    std::array<std::uint8_t, 17> block{255};
    block[1] = 0x91;  // +0.5 then -0.5, doubled +1 and -1
    const std::vector<float> w = decode(TypeId::MXFP4, block);
    EXPECT_EQ(w[0], 0x1p127f);
    EXPECT_EQ(w[16], -0x1p127f);
}

}  // namespace
}  // namespace assay::quant
