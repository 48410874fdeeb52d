#include "recipe/groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace assay::recipe {
namespace {

using quant::TypeId;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

Measured measured(std::string name, double cost, std::vector<TypeId> types = {TypeId::Q4_0, TypeId::Q8_0}) {
    Measured m;
    m.name = std::move(name);
    for (const TypeId type : types) m.candidates.push_back({type, 10, cost, cost});
    return m;
}

std::vector<std::vector<std::size_t>> members(const std::vector<Measured>& tensors, double tolerance = 0.0) {
    std::vector<std::vector<std::size_t>> found;
    for (const Group& group : group_tensors(tensors, tolerance)) found.push_back(group.members);
    return found;
}

TEST(Groups, GateAndUpExpertsOfABlockAreOne) {
    const std::vector<Measured> tensors = {
        measured("blk.0.ffn_gate_exps.weight", 1), measured("blk.0.ffn_up_exps.weight", 2),
        measured("blk.0.ffn_down_exps.weight", 1), measured("blk.1.ffn_gate_exps.weight", 1),
        measured("blk.1.ffn_up_exps.weight", 2)};
    EXPECT_THAT(members(tensors), UnorderedElementsAre(ElementsAre(0, 1), ElementsAre(2), ElementsAre(3, 4)));
}

TEST(Groups, SingleExpertsOfABlockAreOne) {
    const std::vector<Measured> tensors = {
        measured("blk.0.ffn_down.0.weight", 1), measured("blk.0.ffn_down.1.weight", 2),
        measured("blk.0.ffn_up.0.weight", 1), measured("blk.0.ffn_gate.1.weight", 1)};
    EXPECT_THAT(members(tensors), UnorderedElementsAre(ElementsAre(0, 1), ElementsAre(2, 3)));
}

TEST(Groups, NeighboursOfSimilarCostAreMerged) {
    const std::vector<Measured> tensors = {
        measured("blk.0.attn_k.weight", 1.0), measured("blk.1.attn_k.weight", 1.08),
        measured("blk.2.attn_k.weight", 1.15), measured("blk.3.attn_k.weight", 1.2),
        measured("blk.5.attn_k.weight", 1.2)};
    // 1.15 is near 1.08 but not near 1.0: a run does not drift. Block 5 is no neighbour of block 3.
    EXPECT_THAT(members(tensors, 0.1),
                UnorderedElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4)));
    EXPECT_EQ(members(tensors, 0.0).size(), 5u);
}

TEST(Groups, ConstrainedTensorsStandAlone) {
    std::vector<Measured> tensors = {measured("blk.0.ffn_gate_exps.weight", 1),
                                     measured("blk.0.ffn_up_exps.weight", 2)};
    tensors[1].kept = true;
    EXPECT_EQ(members(tensors).size(), 2u);
}

TEST(Groups, KeepOnlyTypesThatAllCanHave) {
    const std::vector<Measured> tensors = {
        measured("token_embd.weight", 1, {TypeId::Q4_K, TypeId::Q8_0}),
        measured("per_layer_token_embd.weight", 1, {TypeId::Q8_0, TypeId::Q4_0})};
    const auto groups = group_tensors(tensors, 0.0);
    ASSERT_EQ(groups.size(), 1u);
    EXPECT_THAT(groups[0].types, ElementsAre(TypeId::Q8_0));
}

TEST(Groups, ATensorWithoutACommonTypeLeaves) {
    const std::vector<Measured> tensors = {measured("blk.0.ffn_gate_exps.weight", 1, {TypeId::Q4_K}),
                                           measured("blk.0.ffn_up_exps.weight", 1, {TypeId::F16})};
    EXPECT_EQ(members(tensors).size(), 2u);
}

TEST(Groups, AskingForATypeThatWasNotMeasuredIsOurFault) {
    EXPECT_THROW(measured("x", 1).get(TypeId::Q6_K), Error);
}

}  // namespace
}  // namespace assay::recipe
