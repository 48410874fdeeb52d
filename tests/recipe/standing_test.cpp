#include "recipe/standing.h"

#include <gtest/gtest.h>

#include "recipe/model.h"

namespace assay::recipe {
namespace {

TEST(Standing, IsTheMedianShareOfTheLayers) {
    const TinyModel model({{"blk.0.attn_q.weight", {32, 2}}});
    const std::vector<NamedEnergy> energies = {
        {"blk.0.attn_output.weight", 3.0}, {"blk.0.ffn_down.weight", 7.0},
        {"blk.1.attn_output.weight", 1.0}, {"blk.1.ffn_down.weight", 1000.0},
        {"blk.2.ssm_out.weight", 4.0},     {"blk.2.ffn_down_exps.weight", 6.0},
        {"blk.3.ffn_down.weight", 6.0},    {"output.weight", 100.0}};
    const Standing standing = find_standing(model.file(), energies);
    EXPECT_DOUBLE_EQ(standing.of("blk.7.attn_q.weight"), 0.6);
    EXPECT_DOUBLE_EQ(standing.of("blk.7.ssm_in.weight"), 0.6);
    EXPECT_DOUBLE_EQ(standing.of("blk.7.ffn_up_exps.weight"), 1.4);
    EXPECT_DOUBLE_EQ(standing.of("output.weight"), 1.0);
    EXPECT_DOUBLE_EQ(standing.of("blk.7.nextn.eh_proj.weight"), 1.0);
}

TEST(Standing, NormsBehindThePartsDecide) {
    const TinyModel model({{"blk.0.post_attention_norm.weight", {4096}, quant::TypeId::F32, 1.0},
                           {"blk.0.post_ffw_norm.weight", {4096}, quant::TypeId::F32, 1.0}});
    const std::vector<NamedEnergy> energies = {{"blk.0.attn_output.weight", 1.0},
                                               {"blk.0.ffn_down.weight", 900.0}};
    // Sums of 4096 squares of Gaussian numbers differ by 2% or so.
    EXPECT_NEAR(find_standing(model.file(), energies).mixer, 1.0, 0.1);
}

TEST(Standing, IsBoundedAndEvenWithoutData) {
    const TinyModel model({{"blk.0.attn_q.weight", {32, 2}}});
    const std::vector<NamedEnergy> energies = {{"blk.0.attn_output.weight", 1.0},
                                               {"blk.0.ffn_down.weight", 900.0}};
    EXPECT_DOUBLE_EQ(find_standing(model.file(), energies).mixer, 0.4);
    EXPECT_DOUBLE_EQ(find_standing(model.file(), {}).mixer, 1.0);
    EXPECT_DOUBLE_EQ(find_standing(model.file(), {}).feed_forward, 1.0);
}

}  // namespace
}  // namespace assay::recipe
