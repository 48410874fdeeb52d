// Exact sums: the same bits in any order and any partition, which plain f64 does not give.
#include "core/exact_sum.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <vector>

namespace assay {
namespace {

/// The sum in units of 2^-54, so that the reference needs no rounding: terms are multiples of it, under 2^40.
using Units = __int128;
constexpr double kUnit = 0x1p-54;

Units units(double value) {
    const double whole = std::trunc(value / 0x1p-20);
    return (static_cast<Units>(whole) << 34) + static_cast<Units>((value - whole * 0x1p-20) / kUnit);
}

struct Sum {
    double high = 0;
    float low = 0;

    void add(double term, float low_part = 0) { add_exactly(high, low, term, low_part); }
    bool operator==(const Sum&) const = default;
};

/// As a chunk leaves them: f32, here with exponents between -30 and 20, of either sign where asked for.
std::vector<float> terms(std::mt19937& random, std::size_t n, bool both_signs) {
    std::uniform_real_distribution<float> exponent(-30, 20);
    std::vector<float> all;
    for (std::size_t i = 0; i < n; ++i)
        all.push_back(std::exp2(exponent(random)) * (both_signs && random() % 2 == 0 ? -1.0F : 1.0F));
    return all;
}

Sum sum_of(const std::vector<float>& all) {
    Sum sum;
    for (const float term : all) sum.add(static_cast<double>(term));
    return sum;
}

TEST(ExactSum, IsTheSumRoundedAndTheRest) {
    std::mt19937 random(20261127);
    bool has_rest = false;
    for (int round = 0; round < 200; ++round) {
        const std::vector<float> all = terms(random, 500, round % 2 == 0);
        Units expected = 0;
        for (const float term : all) expected += units(static_cast<double>(term));
        const Sum sum = sum_of(all);
        EXPECT_EQ(units(sum.high) + units(static_cast<double>(sum.low)), expected);
        EXPECT_EQ(sum.high, static_cast<double>(expected) * kUnit) << "which the compiler rounds to nearest";
        has_rest |= sum.low != 0;
    }
    EXPECT_TRUE(has_rest);
}

TEST(ExactSum, AnyOrderAndAnyPartitionGiveTheSameBits) {
    std::mt19937 random(20261128);
    int plain_differs = 0;
    for (int round = 0; round < 100; ++round) {
        std::vector<float> all = terms(random, 400, round % 2 == 0);
        const Sum expected = sum_of(all);
        const double plain = std::accumulate(all.begin(), all.end(), 0.0);
        for (int order = 0; order < 5; ++order) {
            std::ranges::shuffle(all, random);
            plain_differs += std::accumulate(all.begin(), all.end(), 0.0) != plain;
            EXPECT_EQ(sum_of(all), expected);
            // Each term goes to one of some parts, which are then merged in their order.
            std::vector<Sum> parts(1 + random() % 9);
            for (const float term : all) parts[random() % parts.size()].add(static_cast<double>(term));
            Sum merged;
            for (const Sum& part : parts) merged.add(part.high, part.low);
            EXPECT_EQ(merged, expected);
        }
    }
    EXPECT_GT(plain_differs, 100) << "these terms would not show a loss";
}

TEST(ExactSum, NothingIsLeftWhereAllCancels) {
    std::mt19937 random(20261129);
    std::vector<float> all = terms(random, 300, true);
    for (std::size_t i = 0; i < 300; ++i) all.push_back(-all[i]);
    std::ranges::shuffle(all, random);
    EXPECT_EQ(sum_of(all), Sum());
    EXPECT_FALSE(std::signbit(sum_of({-0.0F, 0.0F}).high));
}

TEST(ExactSum, OfDoubles) {
    std::mt19937 random(20261130);
    std::uniform_real_distribution<double> value(-512, 512);
    std::vector<double> all(1000);
    for (double& term : all) term = value(random);
    const auto sum = [&] {
        ExactSum total;
        for (const double term : all) total.add(term);
        return total;
    };
    const ExactSum expected = sum();
    EXPECT_NE(expected.low, 0);
    std::ranges::shuffle(all, random);
    EXPECT_EQ(sum().high, expected.high);
    EXPECT_EQ(sum().low, expected.low);
}

}  // namespace
}  // namespace assay
