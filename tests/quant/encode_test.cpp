// Encoders: the plain formulas against the `gguf` Python package to the byte; the searches by what the
// decoder makes of their blocks.
#include "quant/encode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <span>
#include <vector>

#include "quant/golden.h"

namespace assay::quant {
namespace {

constexpr std::array kSearched{TypeId::Q2_K, TypeId::Q3_K,   TypeId::Q4_K,  TypeId::Q5_K,
                               TypeId::Q6_K, TypeId::IQ4_NL, TypeId::IQ4_XS};
constexpr std::array kQuantised{TypeId::Q4_0, TypeId::Q4_1, TypeId::Q5_0,   TypeId::Q5_1,
                                TypeId::Q8_0, TypeId::Q2_K, TypeId::Q3_K,   TypeId::Q4_K,
                                TypeId::Q5_K, TypeId::Q6_K, TypeId::IQ4_NL, TypeId::IQ4_XS};

std::vector<std::byte> encode(const TypeInfo& type, std::span<const float> x, const float* importance) {
    std::vector<std::byte> out(row_bytes(type, x.size()));
    find_encoder(type.id)(x.data(), x.size(), importance, out.data());
    return out;
}

std::vector<float> round_trip(const TypeInfo& type, std::span<const float> x, const float* importance) {
    const std::vector<std::byte> bytes = encode(type, x, importance);
    std::vector<float> out(x.size());
    type.decode(bytes.data(), x.size(), out.data());
    return out;
}

double error(std::span<const float> x, std::span<const float> y, const std::vector<float>& importance) {
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i)
        sum += static_cast<double>(importance[i]) * std::pow(static_cast<double>(x[i]) - y[i], 2);
    return sum;
}

std::vector<float> normal_row(std::size_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 0.02f);
    std::vector<float> row(n);
    for (float& x : row) x = normal(random);
    return row;
}

class PlainFormula : public testing::TestWithParam<std::string_view> {};

TEST_P(PlainFormula, EqualsGgufPythonPackage) {
    const TypeInfo* type = type_named(GetParam());
    ASSERT_NE(type, nullptr);
    const std::vector<char> row_file = read_golden("rows.bin");
    std::vector<float> rows(row_file.size() / sizeof(float));
    ASSERT_EQ(rows.size(), 6u * 256u);
    std::memcpy(rows.data(), row_file.data(), row_file.size());
    const std::vector<char> expected = read_golden("encoded_" + lower_name(*type) + ".bin");
    const std::vector<std::byte> found = encode(*type, rows, nullptr);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_EQ(found[i], static_cast<std::byte>(expected[i]))
            << "byte " << i % type->block_bytes << " of block " << i / type->block_bytes;
}

INSTANTIATE_TEST_SUITE_P(Encode, PlainFormula,
                         testing::Values("f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"),
                         [](const auto& instance) { return std::string(instance.param); });

/// The widest gap between neighbouring levels that the 256 weights of a block can take, in units where the
/// block spans -1..1: with b bits, 2 / (2^b - 1) for even grids. IQ4's widest gap is 24 of 240 steps. Its
/// block may reach 127/113 past one end when the extreme weight sits at the other.
double widest_gap(TypeId id) {
    switch (id) {
        case TypeId::Q2_K: return 2.0 / 3;
        case TypeId::Q3_K: return 2.0 / 7;
        case TypeId::Q4_0:
        case TypeId::Q4_1:
        case TypeId::Q4_K: return 2.0 / 15;
        case TypeId::Q5_0:
        case TypeId::Q5_1:
        case TypeId::Q5_K: return 2.0 / 31;
        case TypeId::Q6_K: return 2.0 / 63;
        case TypeId::Q8_0: return 2.0 / 254;
        default: return 2.0 * 24 / 240;
    }
}

// Values spread evenly over -1..1, both ends in every sub-block of 16. Covering the range and rounding to the
// nearest level errs by at most half a gap per weight, so the root mean square of the least-squares fit is
// below half a gap too. Signed grids have one level fewer on one side (a factor of at most 8/7.5 on the gap,
// 4/3.5 for Q3_K), and sub scales are rounded to 4 bits (1/30 of the largest) in Q2_K, finer in the others:
// together below 20 %.
TEST(Encode, ErrsByLessThanHalfAGap) {
    std::mt19937 random(3);
    std::uniform_real_distribution<float> even(-1.0f, 1.0f);
    for (const TypeId id : kQuantised) {
        const TypeInfo& type = type_info(id);
        std::vector<float> x(2048);
        for (std::size_t i = 0; i < x.size(); ++i)
            x[i] = i % 16 == 3 ? -1.0f : i % 16 == 8 ? 1.0f : even(random);
        const std::vector<float> uniform(x.size(), 1.0f);
        const double rms = std::sqrt(error(x, round_trip(type, x, nullptr), uniform) / 2048.0);
        EXPECT_LT(rms, 1.2 * widest_gap(id) / 2) << type.name;
        EXPECT_GT(rms, 0.05 * widest_gap(id)) << type.name << ": more exact than the type can be";
    }
}

// Weights that lie on the decoder's own grid come back, but for the rounding of scales to half (2^-11 of the
// largest weight) and the search's freedom to trade such errors.
TEST(Encode, KeepsWhatTheGridHolds) {
    for (const TypeId id : {TypeId::Q4_0, TypeId::Q5_0, TypeId::Q8_0, TypeId::IQ4_NL, TypeId::Q6_K}) {
        const TypeInfo& type = type_info(id);
        std::vector<float> x(256);
        const std::array<float, 3> levels{-127.0f, 1.0f, 113.0f};
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (id == TypeId::IQ4_NL)
                x[i] = levels[i % 3];
            else if (id == TypeId::Q6_K)
                x[i] = static_cast<float>(static_cast<int>(i * 8 % 64) - 32);
            else
                x[i] = static_cast<float>(static_cast<int>(i % 16) - 8);
        }
        const std::vector<float> y = round_trip(type, x, nullptr);
        const float peak = std::abs(*std::min_element(x.begin(), x.end()));
        for (std::size_t i = 0; i < x.size(); ++i) {
            const float slack = id == TypeId::Q8_0 ? peak / 254 : peak / 1024;
            EXPECT_NEAR(y[i], x[i], slack) << type.name << " weight " << i;
        }
    }
}

TEST(Encode, ImportanceNeverRaisesTheWeightedError) {
    std::mt19937 random(11);
    std::gamma_distribution<float> heavy_tailed(0.3f, 1.0f);
    for (const TypeId id : kQuantised) {
        const TypeInfo& type = type_info(id);
        double with_sum = 0.0;
        double without_sum = 0.0;
        for (unsigned trial = 0; trial < 20; ++trial) {
            const std::vector<float> x = normal_row(1024, 100 + trial);
            std::vector<float> importance(x.size());
            for (float& w : importance) w = heavy_tailed(random);
            const double with = error(x, round_trip(type, x, importance.data()), importance);
            const double without = error(x, round_trip(type, x, nullptr), importance);
            // Sums over blocks that are each no worse; the order of summing differs from the encoder's.
            ASSERT_LE(with, without * (1 + 1e-12)) << type.name;
            with_sum += with;
            without_sum += without;
        }
        // Such importance leaves about half of the error to gain with few bits; a tenth tells a search from
        // none.
        if (id == TypeId::Q8_0) continue;
        EXPECT_LT(with_sum, 0.9 * without_sum) << type.name;
    }
}

// Nearly even importance leaves a search little to gain, less at times than rounding its scales costs.
TEST(Encode, NearlyEvenImportanceNeverRaisesTheWeightedErrorOfABlock) {
    std::mt19937 random(12);
    std::gamma_distribution<float> nearly_even(200.0f, 1.0f);
    for (const TypeId id : kQuantised) {
        const TypeInfo& type = type_info(id);
        for (unsigned trial = 0; trial < 200; ++trial) {
            const std::vector<float> x = normal_row(type.block, 1000 + trial);
            std::vector<float> importance(x.size());
            for (float& w : importance) w = nearly_even(random);
            const double with = error(x, round_trip(type, x, importance.data()), importance);
            const double without = error(x, round_trip(type, x, nullptr), importance);
            ASSERT_LE(with, without * (1 + 1e-12)) << type.name << " trial " << trial;
        }
    }
}

// The least-squares search must beat plain rounding to the covering scale where a plain type has the same
// codes.
TEST(Encode, SearchBeatsThePlainFormula) {
    const std::vector<float> x = normal_row(16384, 5);
    const std::vector<float> uniform(x.size(), 1.0f);
    for (const TypeId id : {TypeId::Q4_0, TypeId::Q4_1, TypeId::Q5_0, TypeId::Q5_1}) {
        const TypeInfo& type = type_info(id);
        const double plain = error(x, round_trip(type, x, nullptr), uniform);
        const double searched = error(x, round_trip(type, x, uniform.data()), uniform);
        EXPECT_LT(searched, 0.95 * plain) << type.name;
    }
}

TEST(Encode, ZeroRowsStayZero) {
    const std::vector<float> x(512, 0.0f);
    std::vector<float> importance(512, 1.0f);
    importance[3] = 7.0f;
    for (const TypeId id : kQuantised)
        for (const float* w : {static_cast<const float*>(nullptr), std::as_const(importance).data()})
            for (const float y : round_trip(type_info(id), x, w)) ASSERT_EQ(y, 0.0f) << type_info(id).name;
}

TEST(Encode, ImportanceOfZeroCountsAsUniform) {
    const std::vector<float> x = normal_row(512, 9);
    const std::vector<float> zero(x.size(), 0.0f);
    const std::vector<float> uniform(x.size(), 1.0f);
    for (const TypeId id : kSearched)
        EXPECT_EQ(encode(type_info(id), x, zero.data()), encode(type_info(id), x, nullptr))
            << type_info(id).name;
}

// Rows at the edges of float, with importance that is sparse, huge or tiny.
TEST(Encode, NeverGivesNan) {
    std::mt19937 random(13);
    constexpr float kMax = std::numeric_limits<float>::max();
    constexpr float kMin = std::numeric_limits<float>::denorm_min();
    const std::array<float, 12> values{0.0f,  -0.0f, kMin,  -kMin,    1e-38f, -1e-30f,
                                       1e-7f, 1.0f,  -1.0f, 65504.0f, kMax,   -kMax};
    const std::array<float, 5> importances{0.0f, kMin, 1e-20f, 1.0f, kMax};
    for (int trial = 0; trial < 300; ++trial) {
        // A row draws from a few of the values, so that small ones are not always beside the largest.
        std::vector<float> x(256);
        const std::size_t first = random() % values.size();
        const std::size_t count = 1 + random() % 4;
        for (float& v : x) v = values[(first + random() % count) % values.size()];
        std::vector<float> importance(x.size());
        for (float& w : importance) w = importances[random() % importances.size()];
        for (const TypeId id : kQuantised)
            for (const float* w : {static_cast<const float*>(nullptr), std::as_const(importance).data()})
                for (const float y : round_trip(type_info(id), x, w))
                    ASSERT_TRUE(std::isfinite(y)) << type_info(id).name << " trial " << trial;
    }
}

TEST(FindEncoder, KnowsWhatItCannotWrite) {
    EXPECT_EQ(find_encoder(TypeId::IQ2_XXS), nullptr);
    EXPECT_EQ(find_encoder(TypeId::I32), nullptr);
    EXPECT_EQ(find_encoder(static_cast<TypeId>(4)), nullptr);
    const std::vector<float> x = normal_row(40, 1);
    EXPECT_EQ(round_trip(type_info(TypeId::F32), x, nullptr), x);
}

}  // namespace
}  // namespace assay::quant
