// Chunks of unequal length, whose rows do not all count 1, give what each gives alone.
#include <gtest/gtest.h>

#include "backend/open.h"
#include "engine/small_model.h"
#include "engine/team.h"

namespace assay::engine {
namespace {

constexpr std::int64_t kLongest = 512;
const std::vector<std::int64_t> kLengths{40, 1, kLongest, 7, 2, 130};

class UnequalChunks : public testing::TestWithParam<std::string> {
  protected:
    UnequalChunks() {
        model_.cut(kLengths);
        options_.n_ctx = kLongest;
        options_.unequal = true;
        options_.similarity = true;
    }

    Wave wave(std::size_t first, std::size_t count) const {
        Wave wave = model_.wave(static_cast<std::int64_t>(first), static_cast<std::int64_t>(count));
        if (!weights_.empty())
            wave.weights = std::span(weights_).subspan(static_cast<std::size_t>(wave.starts.front()),
                                                       static_cast<std::size_t>(wave.n_tokens()));
        wave.scored = ScoredTokens::AllButFirst;
        return wave;
    }
    /// In waves of so many chunks, on so many devices of n_threads each.
    RecordingSink run(std::size_t wave_chunks, std::size_t n_devices, int n_threads,
                      const Placement& placement = {}) const {
        std::vector<std::unique_ptr<ThreadPool>> pools;
        std::vector<std::unique_ptr<backend::Backend>> backends;
        std::vector<backend::Backend*> borrowed;
        for (std::size_t i = 0; i < n_devices; ++i) {
            pools.push_back(std::make_unique<ThreadPool>(n_threads));
            backends.push_back(backend::open({"cpu", backend::Precision::Auto, {}, kLongest}, *pools.back()));
            borrowed.push_back(backends.back().get());
        }
        const plan::PassPlan plan(model_.file, model_.program, *borrowed.front(), options_);
        Team team(plan, borrowed, placement);
        RecordingSink sink;
        for (std::size_t first = 0; first < kLengths.size(); first += wave_chunks)
            team.run(wave(first, std::min(wave_chunks, kLengths.size() - first)), sink, [](std::int64_t) {});
        return sink;
    }
    SmallModel model_{GetParam(), {kLongest, GetParam().find("nextn") != std::string::npos}};
    plan::PassOptions options_;
    std::vector<float> weights_;
};
// Dense, experts, a selective scan, a gated delta rule, hyper-connections, latent attention, n-grams, blocks
// that predict ahead.
INSTANTIATE_TEST_SUITE_P(Models, UnequalChunks,
                         testing::Values("llama-dense", "qwen3moe-moe", "mamba2-dense", "qwen3next-moe",
                                         "deepseek4-moe", "deepseek2-lite-mla-moe", "qwen4exp-moe",
                                         "glm4moe-nextn-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(UnequalChunks, AreAsEachAlone) {
    const RecordingSink alone = run(1, 1, 1);
    const auto n_parts = static_cast<std::int64_t>(1 + model_.program.nextn.size());
    ASSERT_EQ(std::ssize(alone.losses), n_parts * std::ssize(kLengths));
    for (const auto& [key, losses] : alone.losses) {
        const auto [ahead, chunk] = key;
        EXPECT_EQ(std::ssize(losses),
                  std::max<std::int64_t>(0, kLengths[static_cast<std::size_t>(chunk)] - 1 - ahead));
    }
    EXPECT_TRUE(run(kLengths.size(), 1, 2) == alone) << "one wave";
    EXPECT_TRUE(run(4, 1, 3) == alone) << "waves of four";
    EXPECT_TRUE(run(kLengths.size(), 2, 1) == alone) << "two devices";
    EXPECT_TRUE(run(5, 3, 1) == alone) << "three devices, waves of five";
    const test::TempDir folder;
    EXPECT_TRUE(run(kLengths.size(), 1, 2, {.spill_folder = folder.path()}) == alone) << "on disk";
    EXPECT_TRUE(run(kLengths.size(), 2, 1, {.stream = true, .spill_folder = {}}) == alone) << "streamed";
}

TEST_P(UnequalChunks, EqualLengthsAreTheUsualCase) {
    model_.cut({64, 64, 64});
    const auto found = [&](bool unequal) {
        options_.unequal = unequal;
        options_.n_ctx = 64;
        ThreadPool pool(2);
        const auto backend = backend::open({"cpu", backend::Precision::Auto, {}, kLongest}, pool);
        const plan::PassPlan plan(model_.file, model_.program, *backend, options_);
        Pass pass(plan, *backend, {});
        RecordingSink sink;
        weights_.assign(unequal ? model_.tokens.size() : 0, 1.0f);
        pass.run(wave(0, 3), sink, [](std::int64_t) {});
        return sink;
    };
    EXPECT_TRUE(found(true) == found(false));
}

TEST_P(UnequalChunks, RowsCountWhatTheyWeigh) {
    const RecordingSink plain = run(kLengths.size(), 1, 2);
    const auto weigh = [&](auto weight) {
        weights_.clear();
        for (std::size_t chunk = 0; chunk < kLengths.size(); ++chunk)
            weights_.insert(weights_.end(), static_cast<std::size_t>(kLengths[chunk]), weight(chunk));
    };
    // Powers of two scale exactly; a chunk of weight 0 is as if it had not been there.
    weigh([](std::size_t chunk) { return chunk % 2 == 0 ? 2.0f : 0.0f; });
    const RecordingSink weighted = run(4, 2, 1);
    EXPECT_EQ(weighted.losses, plain.losses);
    EXPECT_EQ(weighted.similarities, plain.similarities);
    weights_.clear();
    RecordingSink even;
    ThreadPool pool(2);
    const auto backend = backend::open({"cpu", backend::Precision::Auto, {}, kLongest}, pool);
    const plan::PassPlan plan(model_.file, model_.program, *backend, options_);
    Pass pass(plan, *backend, {});
    for (std::size_t chunk = 0; chunk < kLengths.size(); chunk += 2)
        pass.run(wave(chunk, 1), even, [](std::int64_t) {});
    ASSERT_EQ(weighted.inputs.size(), even.inputs.size());
    for (const auto& [name, kept] : even.inputs) {
        const auto twice = [](auto numbers) {
            for (auto& number : numbers) number *= 2;
            return numbers;
        };
        const RecordingSink::Kept& found = weighted.inputs.at(name);
        ASSERT_EQ(found.high, twice(kept.high)) << name.first.front();
        ASSERT_EQ(found.low, twice(kept.low)) << name.first.front();
        ASSERT_EQ(found.counts, twice(kept.counts)) << name.first.front();
    }
}

}  // namespace
}  // namespace assay::engine
