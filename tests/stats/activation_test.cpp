#include "stats/activation.h"

#include <cmath>
#include <gtest/gtest.h>

namespace assay::stats {
namespace {

TEST(ActivationStats, UsesTheSumsOfX) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {3, {2, 2, 4}, {2, 2, 2}, {2}};
    matrix.entries["blk.1.a.weight"] = {3, {4, 8, 20}, {0, 2, 4}, {2}};
    const auto all = activation_stats(matrix);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_FALSE(all[0].gain);
    const ActivationStats& t = all[1];  // m = 0, 1, 2 against 1, 1, 1; energy 16 against 4
    EXPECT_TRUE(t.has_sums);
    EXPECT_DOUBLE_EQ(t.mean, 1);
    EXPECT_DOUBLE_EQ(t.stddev, std::sqrt(2.0 / 3));
    EXPECT_NEAR(t.skewness, 0, 1e-15);
    EXPECT_DOUBLE_EQ(t.kurtosis, 1.5 - 3);
    EXPECT_DOUBLE_EQ(t.energy, 16);
    EXPECT_DOUBLE_EQ(t.gain.value(), 2);
    EXPECT_DOUBLE_EQ(t.l2_distance.value(), std::sqrt(2.0));
    EXPECT_DOUBLE_EQ(t.cosine.value(), 3 / std::sqrt(15.0));
    EXPECT_DOUBLE_EQ(t.pearson.value(), 0);
    EXPECT_DOUBLE_EQ(t.covariance.value(), 0);
}

TEST(ActivationStats, FallsBackToTheSumsOfSquares) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {2, {2, 4}, {}, {2}};
    matrix.entries["blk.1.a.weight"] = {2, {2, 4}, {}, {2}};
    matrix.entries["output.weight"] = {2, {2, 2}, {1, 1}, {2}};
    const auto all = activation_stats(matrix);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[2].name, "output.weight");
    EXPECT_DOUBLE_EQ(all[2].entropy_norm, 100);
    EXPECT_FALSE(all[1].has_sums);
    EXPECT_DOUBLE_EQ(all[1].mean, 1.5);
    EXPECT_DOUBLE_EQ(all[1].pearson.value(), 1);
    EXPECT_FALSE(all[1].l2_distance);
}

TEST(ActivationStats, RelatesOnlyLikeWithLike) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {1, {2, 4}, {}, {2, 2}};
    matrix.entries["blk.1.a.weight"] = {1, {2, 4}, {}, {0, 2}};
    matrix.entries["blk.2.a.weight"] = {1, {2, 4}, {1, 1}, {2, 2}};
    matrix.entries["blk.3.a.weight"] = {1, {2, 4}, {}, {2, 2}};
    matrix.entries["blk.4.a.weight"] = {1, {2, 4, 6}, {}, {2, 2, 2}};
    for (const auto& t : activation_stats(matrix)) EXPECT_FALSE(t.gain) << t.name;
    for (const auto& layer : activation_layers(matrix)) EXPECT_FALSE(layer.gain) << layer.layer;
}

TEST(ActivationLayers, JoinTheWeightsThatBothBlocksHave) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {1, {4}, {2}, {2}};
    matrix.entries["blk.0.b.weight"] = {1, {12}, {-2}, {2}};
    matrix.entries["blk.1.a.weight"] = {1, {16}, {4}, {2}};
    matrix.entries["blk.1.b.weight"] = {1, {16}, {4}, {2}};
    matrix.entries["blk.1.c.weight"] = {1, {8}, {8}, {2}};
    matrix.entries["output.weight"] = {1, {8}, {8}, {2}};
    const auto layers = activation_layers(matrix);
    ASSERT_EQ(layers.size(), 2u);
    EXPECT_FALSE(layers[0].gain);
    EXPECT_EQ(layers[1].layer, 1);
    EXPECT_DOUBLE_EQ(layers[1].energy, 8 + 8 + 4);
    EXPECT_DOUBLE_EQ(layers[1].gain.value(), std::sqrt(16.0 / 8));        // a and b only
    EXPECT_DOUBLE_EQ(layers[1].l2_distance.value(), std::sqrt(1 + 9.0));  // (2, 2) against (1, -1)
    EXPECT_DOUBLE_EQ(layers[1].cosine.value(), 0);
}

}  // namespace
}  // namespace assay::stats
