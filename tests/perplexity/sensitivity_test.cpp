#include "perplexity/sensitivity.h"

#include <cmath>
#include <gtest/gtest.h>

namespace assay::perplexity {
namespace {

TEST(PairedSums, ByHand) {
    // l = 1, 3; l' = 1.5, 3.1; mean l = 2, mean d = 0.3.
    PairedSums sums;
    sums.add(1.0, 1.5, 0.2);
    sums.add(3.0, 3.1, 0.4);
    EXPECT_DOUBLE_EQ(sums.reference_perplexity().value, std::exp(2.0));
    EXPECT_NEAR(sums.reference_perplexity().error, std::exp(2.0) * 1.0, 1e-12);  // var 1, n - 1 = 1
    const double change = std::exp(2.3) - std::exp(2.0);
    EXPECT_NEAR(sums.perplexity_change().value, change, 1e-12);
    // The two values of P' d + (P' - P) l, whose mean has the error half their distance.
    const double first = std::exp(2.3) * 0.5 + change * 1.0;
    const double second = std::exp(2.3) * 0.1 + change * 3.0;
    EXPECT_NEAR(sums.perplexity_change().error, std::abs(first - second) / 2, 1e-12);
    EXPECT_NEAR(sums.mean_divergence().value, 0.3, 1e-15);
    EXPECT_NEAR(sums.mean_divergence().error, 0.1, 1e-12);
}

TEST(PairedSums, ThePairingCancelsWhatBothShare) {
    // Losses vary widely, the difference hardly: so does the change's error.
    PairedSums sums;
    for (int i = 0; i < 100; ++i) sums.add(i % 10, i % 10 + 0.01 + 1e-4 * (i % 2), 0.0);
    EXPECT_GT(sums.reference_perplexity().error, 20);
    EXPECT_LT(sums.perplexity_change().error, 0.3);
}

TEST(PairedSums, NoChangeIsExactlyNone) {
    PairedSums sums;
    for (int i = 0; i < 7; ++i) sums.add(0.1 * i, 0.1 * i, 0.0);
    EXPECT_EQ(sums.perplexity_change().value, 0);
    EXPECT_EQ(sums.perplexity_change().error, 0);
    EXPECT_EQ(sums.mean_divergence().error, 0);
}

TEST(PairedSums, MergingAddsAndOnePositionHasNoError) {
    PairedSums a, b, both;
    a.add(1, 2, 0.5);
    b.add(2, 2.5, 0.1);
    both.add(1, 2, 0.5);
    both.add(2, 2.5, 0.1);
    EXPECT_EQ(a.perplexity_change().error, 0);
    a.merge(b);
    EXPECT_EQ(a.count, 2u);
    EXPECT_EQ(a.perplexity_change().value, both.perplexity_change().value);
    EXPECT_EQ(a.perplexity_change().error, both.perplexity_change().error);
    EXPECT_EQ(a.mean_divergence().value, both.mean_divergence().value);
}

}  // namespace
}  // namespace assay::perplexity
