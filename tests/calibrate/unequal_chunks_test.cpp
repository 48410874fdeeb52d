// Runs over chunks of unequal length whose tokens do not all weigh 1.
#include "calibrate/unequal_chunks.h"

#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "gguf/file.h"

namespace assay::calibrate {
namespace {

/// Asks to stop at the `at`-th step of a wave's layers.
struct Impatient final : Recorder {
    explicit Impatient(int at) : left(at) {}
    void on_progress(const Progress& progress) override {
        Recorder::on_progress(progress);
        --left;
    }
    bool stop_requested() const override { return left <= 0; }
    int left;
};

class UnequalChunksRun : public testing::TestWithParam<std::string> {
  protected:
    UnequalChunksRun() : fixture_(GetParam()), options_(options_for_unequal(fixture_, weighted_)) {
        options_.precision = backend::Precision::Auto;
    }
    /// The bytes of the result.
    std::string run(const Options& options) {
        Recorder recorder;
        result_ = calibrate::run(options, recorder);
        perplexities_ = recorder.perplexities;
        n_waves_ = recorder.plan.n_waves;
        return read_file(options.output);
    }

    test::Fixture fixture_;
    Options options_;
    bool weighted_ = true;
    Result result_;
    std::vector<double> perplexities_;
    std::int64_t n_waves_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Models, UnequalChunksRun,
                         testing::Values("llama-dense", "qwen3moe-moe", "mamba2-dense", "glm4moe-nextn-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(UnequalChunksRun, NothingDependsOnWavesThreadsAndDevices) {
    const std::string expected = run(options_);
    EXPECT_EQ(result_.chunks_done, std::ssize(kLengths));
    EXPECT_EQ(result_.tokens, unequal_chunks(10, false).n_tokens);
    EXPECT_EQ(result_.matrix.chunk_count, kLengths.size());
    EXPECT_EQ(perplexities_.size(), kLengths.size());
    std::int64_t least_waves = n_waves_;
    for (const std::int64_t wave : {1, 2})
        for (const char* device : {"cpu", "cpu,cpu"}) {
            Options other = options_;
            other.wave_chunks = wave;
            other.device = device;
            other.n_threads = static_cast<int>(wave);
            EXPECT_TRUE(run(other) == expected) << device << ", waves of " << wave;
            EXPECT_GE(n_waves_, least_waves);
        }
    EXPECT_GT(n_waves_, 1);
    Options spilled = options_;
    spilled.spill_folder = fixture_.folder().path();
    EXPECT_TRUE(run(spilled) == expected);
}

TEST_P(UnequalChunksRun, GoesOnWhereItWasStopped) {
    const std::string expected = run(options_);
    for (const int at : {2, 4}) {
        Options options = options_;
        options.checkpoint_folder = fixture_.folder().path() / "state";
        options.checkpoint_folder_given = true;
        options.wave_chunks = 2;
        Impatient impatient(at);
        EXPECT_TRUE(calibrate::run(options, impatient).stopped) << at;
        options.resume = true;
        options.wave_chunks = 1;  // memory has become shorter
        EXPECT_TRUE(run(options) == expected) << "stopped at step " << at;
        EXPECT_EQ(result_.chunks_done, std::ssize(kLengths));
        std::filesystem::remove_all(options.checkpoint_folder);
    }
}

TEST_P(UnequalChunksRun, CountsAreSumsOfWeights) {
    run(options_);
    const gguf::File file = gguf::File::open(options_.model);
    double weight = 0;
    for (const float w : options_.make_chunks(file).weights) weight += static_cast<double>(w);
    for (const auto& [name, entry] : result_.matrix.entries) {
        if (entry.counts.size() == 1 && name.starts_with("blk.0.")) {
            EXPECT_EQ(entry.counts.front(), weight) << name;
        }
    }
    weighted_ = false;
    run(options_);
    EXPECT_EQ(result_.matrix.entries.at("output.weight").counts.front(),
              static_cast<double>(unequal_chunks(10, false).n_tokens));
}

TEST_P(UnequalChunksRun, MissingExpertsTakeTheLastWave) {
    if (GetParam() != "qwen3moe-moe") GTEST_SKIP() << "one model with experts";
    options_.missing_experts = MissingExperts::All;
    options_.wave_chunks = 1;
    // Only tokens of the last wave count, so few that some experts see none.
    options_.make_chunks = [](const gguf::File& file) {
        Chunks chunks = unequal_chunks(static_cast<std::int64_t>(file.get("token_embd.weight").rows()), true);
        std::fill(chunks.weights.begin(), chunks.weights.end(), 0.0F);
        std::fill(chunks.weights.end() - 4, chunks.weights.end(), 0.25F);  // three and one
        return chunks;
    };
    run(options_);
    const ExpertsOfTensors marked = marked_experts(result_.matrix, MissingExperts::All);
    EXPECT_FALSE(marked.empty());
    for (const auto& [name, experts] : marked)
        for (const std::int64_t expert : experts)
            EXPECT_EQ(result_.matrix.entries.at(name).counts[static_cast<std::size_t>(expert)], 1);
}

}  // namespace
}  // namespace assay::calibrate
