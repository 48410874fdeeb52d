#include "perplexity/perplexity.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

#include "core/error.h"

namespace assay::perplexity {
namespace {

TEST(NegativeLogLikelihood, IsThatOfTheSoftmax) {
    const std::vector<float> even(8, 100.0f), peaked{0, 1000, 0};
    EXPECT_DOUBLE_EQ(negative_log_likelihood(even, 3), std::log(8.0));
    EXPECT_EQ(negative_log_likelihood(peaked, 1), 0);
    EXPECT_EQ(negative_log_likelihood(peaked, 0), 1000);
    const std::vector<float> logits{0.5f, -1.0f, 2.0f};
    // expf rounds each of three terms to 2^-24 of itself, so the logarithm of their sum is off by that.
    EXPECT_NEAR(negative_log_likelihood(logits, 1),
                std::log(std::exp(0.5) + std::exp(-1.0) + std::exp(2.0)) + 1, 0x1p-23);
    EXPECT_THROW(negative_log_likelihood(logits, 3), Error);
    EXPECT_THROW(negative_log_likelihood({}, 0), Error);
}

TEST(FirstPosition, IsHalfTheChunk) {
    EXPECT_EQ(first_position(512), 256u);
    EXPECT_EQ(512 - first_position(512) - 1, 255u);
    EXPECT_EQ(first_position(7), 3u);
}

TEST(Sums, EstimatesLikeTheFormula) {
    Sums sums;
    for (const double nll : {1.0, 2.0, 3.0}) sums.add(nll);
    EXPECT_DOUBLE_EQ(sums.running(), std::exp(2.0));
    const auto estimate = sums.finish();
    ASSERT_TRUE(estimate);
    EXPECT_DOUBLE_EQ(estimate->perplexity, std::exp(2.0));
    EXPECT_DOUBLE_EQ(estimate->error, std::exp(2.0) * std::sqrt((14.0 / 3 - 4) / 2));
}

TEST(Sums, HaveNoEstimateWithoutVariance) {
    Sums sums;
    EXPECT_FALSE(sums.finish());
    EXPECT_TRUE(std::isnan(sums.running()));
    sums.add(2);
    EXPECT_FALSE(sums.finish());
    sums.add(std::nan(""));
    EXPECT_FALSE(sums.finish());
}

TEST(Sums, MergingEqualsAdding) {
    Sums all, first, second;
    first.add(1);
    second.add(2);
    second.add(0.5);
    all.merge(first);
    all.merge(second);
    EXPECT_EQ(all.count, 3u);
    EXPECT_EQ(all.nll, 3.5);
    EXPECT_EQ(all.nll_squared, 5.25);
}

}  // namespace
}  // namespace assay::perplexity
