#include "perplexity/comparison.h"

#include <cmath>
#include <gtest/gtest.h>

namespace assay::perplexity {
namespace {

TEST(Comparison, QuantilesLieBetweenTheRanksNextToThem) {
    const Quantiles one = quantiles_of({3});
    EXPECT_EQ(one.median, 3);
    EXPECT_EQ(one.at_99_9, 3);
    EXPECT_EQ(one.largest, 3);
    // Ranks 0 to 4: a half is rank 2, 90 % rank 3.6, 95 % rank 3.8.
    const Quantiles five = quantiles_of({8, 0, 2, 1, 4});
    EXPECT_EQ(five.median, 2);
    EXPECT_DOUBLE_EQ(five.at_90, 4 + 0.6 * 4);
    EXPECT_NEAR(five.at_95, 4 + 0.8 * 4, 1e-12);
    EXPECT_EQ(five.largest, 8);
    EXPECT_EQ(quantiles_of({1, 2}).median, 1.5);
}

TEST(Comparison, FiguresByHand) {
    FilePositions positions;
    const double half = std::log(2.0), quarter = std::log(4.0);  // losses of probabilities 1/2 and 1/4
    positions.add_chunk({{half, quarter, 0.5, true}});
    positions.add_chunk({{quarter, quarter, 0.1, false}});
    EXPECT_EQ(positions.count(), 2u);
    EXPECT_NEAR(positions.base_perplexity().value, std::sqrt(8.0), 1e-12);
    const ComparedFile file = positions.compare();
    EXPECT_NEAR(file.perplexity.value, 4, 1e-12);
    EXPECT_NEAR(file.perplexity.error, 0, 1e-7);
    // Differences ln 2 and 0: the error of the mean of two is half of what is between them.
    EXPECT_NEAR(file.log_ratio.value, half / 2, 1e-12);
    EXPECT_NEAR(file.log_ratio.error, half / 2, 1e-12);
    EXPECT_NEAR(file.divergence.value, 0.3, 1e-12);
    EXPECT_NEAR(file.divergence.error, 0.2, 1e-12);
    EXPECT_NEAR(file.divergences.median, 0.3, 1e-7);
    EXPECT_NEAR(file.divergences.largest, 0.5, 1e-7);
    // Probabilities of the token change by -1/4 and 0.
    EXPECT_NEAR(file.probability_change.value, -0.125, 1e-12);
    EXPECT_NEAR(file.probability_change.error, 0.125, 1e-12);
    const double root = std::sqrt(1.0 / 32);
    EXPECT_NEAR(file.probability_change_rms.value, root, 1e-12);
    EXPECT_NEAR(file.probability_change_rms.error, 1.0 / 32 / (2 * root), 1e-12);
    EXPECT_EQ(file.same_top.value, 0.5);
    EXPECT_NEAR(file.same_top.error, 0.5, 1e-12);
}

TEST(Comparison, PairsAreOfDifferencesAtTheSamePosition) {
    FilePositions a, b;
    a.add_chunk({{1, 1.25, 0.25, true}, {2, 2.75, 1, true}});
    b.add_chunk({{1, 1.5, 0.5, true}, {2, 3, 1.25, true}});
    const ComparedPair pair = FilePositions::compare(a, b);
    EXPECT_EQ(pair.log_ratio.value, 0.25);
    EXPECT_EQ(pair.log_ratio.error, 0) << "the same at both positions";
    EXPECT_EQ(pair.divergence.value, 0.25);
    EXPECT_EQ(pair.divergence.error, 0);
}

TEST(Comparison, ChunksAreTakenBack) {
    FilePositions all, some;
    all.add_chunk({{1, 2, 0.5, true}});
    some.add_chunk({{1, 2, 0.5, true}});
    all.add_chunk({{1, 3, 0.7, false}, {1, 4, 0.9, false}});
    all.keep_chunks(1);
    EXPECT_EQ(all.count(), 1u);
    EXPECT_EQ(all.compare().log_ratio.value, some.compare().log_ratio.value);
    EXPECT_EQ(all.compare().divergences.largest, 0.5);
    EXPECT_EQ(all.compare().same_top.value, 1);
}

}  // namespace
}  // namespace assay::perplexity
