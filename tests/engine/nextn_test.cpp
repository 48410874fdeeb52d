// Blocks that predict ahead: what they see, and that the trunk does not notice them.
#include <gtest/gtest.h>

#include "backend/open.h"
#include "engine/small_model.h"
#include "engine/team.h"

namespace assay::engine {
namespace {

constexpr const char* kName = "glm4moe-nextn-moe";
constexpr const char* kBlock = "blk.3.";

class NextNBlocks : public testing::Test {
  protected:
    RecordingSink run(const model::Program& program, const Placement& placement = {}) {
        const plan::PassPlan plan(model_.file, program, *backend_,
                                  {.n_ctx = kContext, .observed_output = {}, .similarity = true});
        Pass pass(plan, *backend_, placement);
        return model_.run(pass);
    }

    SmallModel model_{kName};
    model::Program with_ = model::build(model_.file, {kContext, true});
    ThreadPool pool_{2};
    std::unique_ptr<backend::Backend> backend_ =
        backend::open({"cpu", backend::Precision::Auto, {}, kContext}, pool_);
};

TEST_F(NextNBlocks, LeavesTheTrunkAlone) {
    ASSERT_TRUE(model_.program.nextn.empty());
    const RecordingSink without = run(model_.program);
    RecordingSink with = run(with_);
    EXPECT_EQ(with.losses.size(), 2u * kChunks);
    const auto is_block = [](const auto& item) { return item.first.first.front().starts_with(kBlock); };
    const std::size_t removed = std::erase_if(with.inputs, is_block);
    EXPECT_GT(removed, 5u);
    std::erase_if(with.losses, [](const auto& item) { return item.first.first > 0; });
    EXPECT_TRUE(with == without);
}

TEST_F(NextNBlocks, DoesNotDependOnHowItIsRun) {
    const RecordingSink expected = run(with_);
    const test::TempDir folder;
    EXPECT_TRUE(run(with_, {.stream = true, .spill_folder = {}}) == expected);
    EXPECT_TRUE(run(with_, {.spill_folder = folder.path()}) == expected);
    const plan::PassPlan plan(model_.file, with_, *backend_,
                              {.n_ctx = kContext, .observed_output = {}, .similarity = true});
    ThreadPool other_pool(1);
    const auto other = backend::open({"cpu", backend::Precision::Auto, {}, kContext}, other_pool);
    Team team(plan, {backend_.get(), other.get()}, {});
    EXPECT_TRUE(model_.run(team) == expected);
    // One chunk at a time.
    RecordingSink sink;
    Pass pass(plan, *backend_, {});
    for (std::int64_t chunk = 0; chunk < kChunks; ++chunk)
        pass.run(model_.wave(chunk, 1), sink, [](std::int64_t) {});
    EXPECT_TRUE(sink == expected);
}

/// The first token of a chunk has no row, but the state for it has; the last token has a row, its state none.
TEST_F(NextNBlocks, SeesTokensFromTheSecondOn) {
    const std::vector<std::string> embedded{std::string(kBlock) + "nextn.eh_proj.weight"};
    const std::int64_t hidden = with_.hidden;
    const auto sums = [&] {
        const std::vector<double> both = run(with_).inputs.at({embedded, 0}).high;
        const auto half = both.begin() + hidden;  // of squares: [token | state]
        return std::pair(std::vector(both.begin(), half), std::vector(half, half + hidden));
    };
    const auto before = sums();
    const auto change = [&](std::int64_t token) {
        std::int32_t& changed = model_.tokens[static_cast<std::size_t>(token)];
        changed = (changed + 1) % static_cast<std::int32_t>(with_.n_vocab);
    };
    change(0);
    const auto first = sums();
    EXPECT_EQ(first.first, before.first);
    EXPECT_NE(first.second, before.second);
    change(kContext - 1);
    const auto last = sums();
    EXPECT_NE(last.first, first.first);
    EXPECT_EQ(last.second, first.second);
}

}  // namespace
}  // namespace assay::engine
