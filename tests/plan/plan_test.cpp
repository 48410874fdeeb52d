#include "plan/plan.h"

#include <gtest/gtest.h>

#include "backend/open.h"
#include "model/registry.h"
#include "support/fixture.h"

namespace assay::plan {
namespace {

/// The plan of a fixture on processors.
struct Planned {
    explicit Planned(const std::string& name)
        : fixture(name),
          file(gguf::File::open(fixture.model())),
          program(model::build(file, {})),
          plan(file, program, *backend, options()) {}

    static PassOptions options() {
        PassOptions options;
        options.n_ctx = 64;
        options.losses = false;
        return options;
    }

    test::Fixture fixture;
    gguf::File file;
    model::Program program;
    ThreadPool pool{1};
    std::unique_ptr<backend::Backend> backend = backend::open({"cpu", backend::Precision::F32, {}, 64}, pool);
    PassPlan plan;
};

TEST(Memory, OfExpertsCountsWhatTheirProductsTake) {
    const Planned experts("qwen3moe-moe"), dense("llama-dense");
    ASSERT_GT(experts.backend->expert_bytes(), 0u);
    EXPECT_GT(experts.plan.workspace_bytes(), experts.backend->expert_bytes());
    EXPECT_LT(dense.plan.workspace_bytes(), dense.backend->expert_bytes());
}

TEST(Memory, OfAChunkCountsTheChoicesOfItsRows) {
    const Planned planned("qwen3moe-moe");
    std::int64_t slots = 0;
    for (const Slot& slot : planned.plan.slots()) slots += slot.cols * backend::size_of(slot.type);
    const auto rows = [&](std::int64_t n) {
        return planned.plan.chunk_bytes(n) - planned.plan.chunk_bytes(0);
    };
    EXPECT_EQ(rows(10), static_cast<std::uint64_t>(10 * (slots + 2 * 24)));  // two experts for each
}

TEST(Memory, OfSumsCountsWeightsAndTheInputsThatTheyShare) {
    const Planned planned("qwen3moe-moe");
    // Two layers; eight experts from 256 columns to 384 and back.
    constexpr std::uint64_t kAttention = 256 + 256, kRouter = 256, kExperts = 8 * (256 + 384);
    EXPECT_EQ(planned.plan.observed_inputs(), 2 * (kAttention + kRouter + kExperts));
    EXPECT_EQ(planned.plan.observed_columns(), 2 * (kAttention + 2 * 256 + kRouter + kExperts + 8 * 256));
}

}  // namespace
}  // namespace assay::plan
