#include "recipe/policy.h"

#include <gtest/gtest.h>

#include "quant/encode.h"

namespace assay::recipe {
namespace {

using quant::TypeId;

gguf::Tensor tensor(std::string name, std::array<std::uint64_t, 4> ne) {
    gguf::Tensor t;
    t.name = std::move(name);
    t.ne = ne;
    return t;
}

TEST(Policy, QuantisesMatricesAndLeavesTheDelicateAlone) {
    EXPECT_TRUE(is_quantised(tensor("blk.0.attn_q.weight", {64, 64, 1, 1})));
    EXPECT_TRUE(is_quantised(tensor("blk.0.ffn_up_exps.weight", {64, 64, 8, 1})));
    EXPECT_TRUE(is_quantised(tensor("token_embd.weight", {64, 100, 1, 1})));
    EXPECT_FALSE(is_quantised(tensor("blk.0.attn_q.bias", {64, 64, 1, 1})));
    EXPECT_FALSE(is_quantised(tensor("blk.0.attn_norm.weight", {64, 1, 1, 1})));
    EXPECT_FALSE(is_quantised(tensor("blk.0.attn_q_norm.weight", {64, 8, 1, 1})));
    EXPECT_FALSE(is_quantised(tensor("blk.0.ffn_gate_inp.weight", {64, 8, 1, 1})));
    EXPECT_FALSE(is_quantised(tensor("blk.0.ssm_conv1d.weight", {4, 64, 1, 1})));
    EXPECT_FALSE(is_quantised(tensor("position_embd.weight", {64, 64, 1, 1})));
}

// What llama-quantize prints for SmolLM2, whose rows have 576 weights.
TEST(Policy, ReplacesTypesThatTheRowDoesNotFit) {
    EXPECT_EQ(written_type(TypeId::Q4_K, 1536), TypeId::Q4_K);
    EXPECT_EQ(written_type(TypeId::Q4_K, 576), TypeId::Q5_0);
    EXPECT_EQ(written_type(TypeId::Q5_K, 576), TypeId::Q5_1);
    EXPECT_EQ(written_type(TypeId::Q6_K, 576), TypeId::Q8_0);
    EXPECT_EQ(written_type(TypeId::Q3_K, 576), TypeId::Q4_0);
    EXPECT_EQ(written_type(TypeId::IQ4_XS, 576), TypeId::IQ4_NL);
    EXPECT_EQ(written_type(TypeId::Q4_K, 100), TypeId::F16);
    EXPECT_EQ(written_type(TypeId::Q8_0, 100), std::nullopt);
    EXPECT_EQ(written_type(TypeId::F16, 100), TypeId::F16);
}

TEST(Policy, OffersOnlyTypesItCanRoundTo) {
    for (const TypeId type : default_types()) EXPECT_NE(quant::find_encoder(type), nullptr);
}

TEST(Policy, ReadsTypesInAnyCase) {
    EXPECT_EQ(parse_type("Q4_k"), TypeId::Q4_K);
    EXPECT_EQ(parse_type("iq4_NL"), TypeId::IQ4_NL);
    EXPECT_EQ(parse_type("q4"), std::nullopt);
    EXPECT_EQ(parse_type(""), std::nullopt);
}

}  // namespace
}  // namespace assay::recipe
