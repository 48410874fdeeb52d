#include "perplexity/perplexity.h"

#include <cmath>
#include <gtest/gtest.h>

namespace assay::perplexity {
namespace {

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
