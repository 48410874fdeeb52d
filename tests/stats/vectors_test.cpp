#include "stats/vectors.h"

#include <gtest/gtest.h>

#include "stats/compare.h"
#include "stats/distribution.h"

namespace assay::stats {
namespace {

using Doubles = std::vector<double>;

TEST(Vectors, MeansLeaveOutExpertsWithoutData) {
    const imatrix::Entry entry{2, {2, 4, 9, 9, 5, 10}, {2, 0, 9, 9, -5, 5}, {2, 0, 5}};
    EXPECT_EQ(mean_squares(entry), (std::vector<float>{1, 2, 1, 2}));
    EXPECT_EQ(means(entry), (Doubles{1, 0, -1, 1}));
    EXPECT_TRUE(means({1, {1}, {}, {1}}).empty());
}

TEST(Vectors, RanksShareTies) {
    EXPECT_EQ(ranks(Doubles{10, 30, 20, 20}), (Doubles{1, 4, 2.5, 2.5}));
    EXPECT_TRUE(ranks({}).empty());
}

TEST(Vectors, CorrelationsHaveTheirBounds) {
    const Doubles up{1, 2, 3}, down{3, 2, 1}, flat{2, 2, 2}, zero{0, 0, 0};
    EXPECT_DOUBLE_EQ(pearson(up, up), 1);
    EXPECT_DOUBLE_EQ(pearson(up, down), -1);
    EXPECT_EQ(pearson(up, flat), 0);
    EXPECT_DOUBLE_EQ(cosine(up, up), 1);
    EXPECT_DOUBLE_EQ(cosine(up, down), 10.0 / 14.0);
    EXPECT_EQ(cosine(up, zero), 0);
    EXPECT_DOUBLE_EQ(covariance(up, up), 2.0 / 3.0);
}

imatrix::Matrix matrix_of(const std::string& name, imatrix::Entry entry) {
    imatrix::Matrix matrix;
    matrix.chunk_size = 4;
    matrix.entries[name] = std::move(entry);
    return matrix;
}

TEST(Compare, LooksAtMeansOfCommonExperts) {
    const auto first = matrix_of("w", {2, {1, 2, 8, 8, 3, 3}, {}, {1, 4, 0}});
    // Twice the tokens with the same means; the second expert is new, the third has data only here.
    const auto second = matrix_of("w", {2, {2, 4, 0, 0, 3, 3}, {}, {2, 0, 1}});
    const Comparison result = compare(first, second);
    ASSERT_EQ(result.changes.size(), 1u);
    EXPECT_DOUBLE_EQ(result.changes[0].cosine, 1);
    EXPECT_DOUBLE_EQ(result.changes[0].rank_correlation, 1);
    EXPECT_DOUBLE_EQ(result.changes[0].energy_ratio, 1);
    const Comparison swapped =
        compare(matrix_of("w", {2, {1, 2}, {}, {1}}), matrix_of("w", {2, {2, 1}, {}, {1}}));
    EXPECT_DOUBLE_EQ(swapped.changes[0].cosine, 0.8);
    EXPECT_DOUBLE_EQ(swapped.changes[0].rank_correlation, -1);
}

TEST(Compare, ListsWhatCannotBeCompared) {
    auto first = matrix_of("a", {1, {1}, {}, {1}});
    first.entries["b"] = {2, {1, 2}, {}, {1}};
    auto second = matrix_of("b", {1, {1}, {}, {1}});
    second.entries["c"] = {1, {1}, {}, {1}};
    const Comparison result = compare(first, second);
    EXPECT_TRUE(result.changes.empty());
    EXPECT_EQ(result.only_first, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(result.only_second, (std::vector<std::string>{"b", "c"}));
}

TEST(Distribution, NamesTheColumnsThatStandOut) {
    const auto all = distributions(matrix_of("w", {5, {2, 2, 200, 4, 100}, {}, {2}}), {2, 20});
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].quantiles.front(), 1);
    EXPECT_EQ(all[0].quantiles[3], 2);
    EXPECT_EQ(all[0].quantiles.back(), 100);
    ASSERT_EQ(all[0].outliers.size(), 2u);
    EXPECT_EQ(all[0].outliers[0].column, 2u);
    EXPECT_EQ(all[0].outliers[0].times_median, 50);
    EXPECT_DOUBLE_EQ(all[0].outliers[0].share, 200.0 / 308.0);
    EXPECT_EQ(all[0].outliers[1].column, 4u);
}

TEST(Distribution, CountsColumnsWithinTheirExpert) {
    const auto all = distributions(matrix_of("w", {3, {9, 9, 9, 1, 1, 1, 1, 80, 1}, {}, {0, 1, 1}}), {5, 20});
    ASSERT_EQ(all[0].outliers.size(), 1u);
    EXPECT_EQ(all[0].outliers[0].matrix, 2u);
    EXPECT_EQ(all[0].outliers[0].column, 1u);
}

}  // namespace
}  // namespace assay::stats
