#include "stats/tensor_stats.h"

#include <cmath>
#include <gtest/gtest.h>

namespace assay::stats {
namespace {

TEST(TensorStats, DescribesColumns) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.attn_q.weight"] = {4, {2, 2, 2, 10}, {}, {2}};
    imatrix::Notes notes;
    const auto all = tensor_stats(matrix, notes);
    ASSERT_EQ(all.size(), 1u);
    const TensorStats& t = all[0];
    EXPECT_EQ(t.energy, 8);
    EXPECT_EQ(t.min, 1);
    EXPECT_EQ(t.max, 5);
    EXPECT_EQ(t.mean, 2);
    EXPECT_FLOAT_EQ(t.stddev, std::sqrt(3.0f));
    EXPECT_EQ(t.active, 1);
    EXPECT_EQ(t.n, 4u);
    EXPECT_NEAR(t.entropy, 3 * 0.125 * 3 + 0.625 * 0.678072, 1e-5);  // p = 1/8 three times, then 5/8
    EXPECT_FLOAT_EQ(t.entropy_norm, 50 * t.entropy);
    EXPECT_EQ(t.zd, 0.25f);
    EXPECT_EQ(t.cos_sim, 0);
}

TEST(TensorStats, ComparesRawSumsWithThePreviousBlock) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.ffn_up_exps.weight"] = {2, {1, 0, 1, 0}, {}, {1, 1}};
    // Not divided by counts, and the expert without data takes part: cos = (1*3 + 0 + 0 + 0) / (sqrt 2 * 5).
    matrix.entries["blk.1.ffn_up_exps.weight"] = {2, {3, 4, 0, 0}, {}, {2, 0}};
    imatrix::Notes notes;
    const auto all = tensor_stats(matrix, notes);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].parts.block, 1);  // energy 3.5 before energy 2
    EXPECT_EQ(all[0].n, 2u);
    EXPECT_FLOAT_EQ(all[0].cos_sim, 3 / (5 * std::sqrt(2.0f)));
    EXPECT_EQ(all[1].cos_sim, 0);
}

TEST(TensorStats, SkipsWeightsWithoutDataAloud) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.ffn_up_exps.weight"] = {1, {0, 0}, {}, {0, 0}};
    imatrix::Notes notes;
    EXPECT_TRUE(tensor_stats(matrix, notes).empty());
    EXPECT_EQ(notes, (imatrix::Notes{"all counts are zero for tensor blk.0.ffn_up_exps.weight, skipping "
                                     "statistics computation"}));
}

TEST(TensorStats, ZeroEnergyAndSingleColumnsAreNumbers) {
    imatrix::Matrix matrix;
    matrix.entries["a"] = {2, {0, 0}, {}, {1}};
    matrix.entries["b"] = {1, {3}, {}, {1}};
    imatrix::Notes notes;
    for (const auto& t : tensor_stats(matrix, notes)) {
        EXPECT_EQ(t.entropy, 0) << t.name;
        EXPECT_EQ(t.entropy_norm, 0) << t.name;
        EXPECT_EQ(t.zd, 0) << t.name;
    }
}

TEST(LayerStats, WeighsByColumnsAndLeavesOutTheOutput) {
    TensorStats small, large, output;
    small.parts = split_name("blk.7.a.weight");
    small.n = 1;
    small.energy = 10;
    small.zd = 1;
    small.cos_sim = 0.5f;
    large.parts = split_name("blk.7.b.weight");
    large.n = 3;
    large.energy = 2;
    output.parts = split_name("output.weight");
    output.n = 100;
    const std::vector<TensorStats> tensors{small, large, output};
    const auto layers = layer_stats(tensors);
    ASSERT_EQ(layers.size(), 1u);
    EXPECT_EQ(layers[0].layer, 7);
    EXPECT_EQ(layers[0].energy, 4);
    EXPECT_EQ(layers[0].zd, 0.25f);
    EXPECT_EQ(layers[0].cos_sim, 0.125f);
}

}  // namespace
}  // namespace assay::stats
