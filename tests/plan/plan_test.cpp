#include "plan/plan.h"

#include <gtest/gtest.h>

#include "support/planned.h"

namespace assay::plan {
namespace {

/// The plan of a fixture on processors.
TEST(Memory, OfExpertsCountsWhatTheirProductsTake) {
    const test::Planned experts("qwen3moe-moe"), dense("llama-dense");
    ASSERT_GT(experts.backend->expert_bytes(), 0u);
    EXPECT_GT(experts.plan.workspace_bytes(), experts.backend->expert_bytes());
    EXPECT_LT(dense.plan.workspace_bytes(), dense.backend->expert_bytes());
}

TEST(Memory, OfAChunkCountsTheChoicesOfItsRows) {
    const test::Planned planned("qwen3moe-moe", false);
    std::int64_t slots = 0;
    for (const Slot& slot : planned.plan.slots()) slots += slot.cols * backend::size_of(slot.type);
    const auto rows = [&](std::int64_t n) {
        return planned.plan.chunk_bytes(n) - planned.plan.chunk_bytes(0);
    };
    EXPECT_EQ(rows(10), static_cast<std::uint64_t>(10 * (slots + 2 * 24)));  // two experts for each
}

TEST(Memory, OfSumsCountsWeightsAndTheInputsThatTheyShare) {
    const test::Planned planned("qwen3moe-moe");
    // Two layers; eight experts from 256 columns to 384 and back.
    constexpr std::uint64_t kAttention = 256 + 256, kRouter = 256, kExperts = 8 * (256 + 384);
    EXPECT_EQ(planned.plan.observed_inputs(), 2 * (kAttention + kRouter + kExperts));
    EXPECT_EQ(planned.plan.observed_columns(), 2 * (kAttention + 2 * 256 + kRouter + kExperts + 8 * 256));
}

}  // namespace
}  // namespace assay::plan
