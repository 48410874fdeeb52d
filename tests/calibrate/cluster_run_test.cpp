// Whole runs on several ranks, which are threads here: the same bytes, lines and figures as one process
// gives.
#include "calibrate/cluster_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/missing_experts.h"
#include "calibrate/on_ranks.h"
#include "calibrate/unequal_chunks.h"
#include "gguf/file.h"

namespace assay::calibrate {
namespace {

/// What rank 0 says when rank 1 runs with other options.
std::string refusal(const Options& options, const Options& other) {
    std::string said;
    cluster::Hub hub(2);
    hub.run([&](cluster::Communicator& communicator) {
        Recorder silent;
        try {
            run(communicator.rank() == 0 ? options : other, silent, &communicator);
        } catch (const Error& error) {
            if (communicator.rank() == 0) said = error.what();
        }
    });
    return said;
}

TEST(Ranks, RunTheSameModelAlike) {
    const test::Fixture fixture("llama-dense");
    const Options options = options_for(fixture);
    Options other = options;
    EXPECT_EQ(refusal(options, other), "");
    other.precision = backend::Precision::Bf16;
    EXPECT_THAT(refusal(options, other), testing::AllOf(testing::HasSubstr("rank 1 on odd"),
                                                        testing::HasSubstr("the arithmetic is cpu")));
    other = options;
    other.model = fixture.folder().path() / "other.gguf";
    std::string bytes = read_file(options.model);
    bytes.back() ^= 1;  // of the last tensor
    write_file_atomically(other.model, std::as_bytes(std::span(bytes)));
    EXPECT_THAT(refusal(options, other), testing::AllOf(testing::HasSubstr("rank 1 on odd"),
                                                        testing::HasSubstr("the model's weights (samples)")));
}

class DocumentRanks : public testing::TestWithParam<std::string> {
  protected:
    DocumentRanks() : fixture_(GetParam()), options_(options_for_unequal(fixture_, weighted_)) {
        options_.n_threads = 1;
    }

    test::Fixture fixture_;
    Options options_;
    bool weighted_ = true;
};
INSTANTIATE_TEST_SUITE_P(Models, DocumentRanks,
                         testing::Values("llama-dense", "qwen3moe-moe", "mamba2-dense", "glm4moe-nextn-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(DocumentRanks, GiveWhatOneProcessGives) {
    for (const bool weighted : {true, false}) {
        weighted_ = weighted;
        const Outcome alone = run_alone(options_);
        EXPECT_EQ(alone.result.roles.size(), documents::kRoles.size());
        for (const int ranks : {1, 2, 3, 4, 7}) {
            SCOPED_TRACE(fmt::format("{} ranks, {}", ranks, weighted ? "weighted" : "all 1"));
            Options options = options_;
            if (ranks % 2 == 0) options.wave_chunks = 1;
            expect_same(run_on(ranks, options), alone);
        }
    }
}

TEST_P(DocumentRanks, GoOnInAnotherNumber) {
    const Outcome alone = run_alone(options_);
    options_.checkpoint_folder = fixture_.folder().path() / "state";
    options_.checkpoint_seconds = 0;
    options_.save_every = 3;
    options_.save_every_given = true;  // which ends rounds
    for (const int before : {1, 2, 3}) {
        std::filesystem::remove_all(options_.checkpoint_folder);
        options_.resume = false;
        cluster::Hub hub(before);
        Result stopped;
        hub.run([&](cluster::Communicator& communicator) {
            Recorder told;
            if (communicator.rank() == 0) told.stop_after = 3;
            const Result result = run(options_, told, &communicator);
            if (communicator.rank() == 0) stopped = result;
        });
        EXPECT_TRUE(stopped.stopped) << before;
        EXPECT_TRUE(stopped.chunks_done == 3 || stopped.chunks_done == 6) << "whole rounds";
        options_.resume = true;
        const Outcome resumed = run_on(1 + before % 3, options_);
        EXPECT_EQ(resumed.result.chunks_resumed, stopped.chunks_done);
        expect_same(resumed, alone);
    }
}

TEST(Ranks, SendMissingExpertsTheLastWaveOfOneProcess) {
    const test::Fixture fixture("qwen3moe-moe");
    Options options = options_for(fixture);
    options.n_ctx = 4;  // so few tokens that some experts see none
    options.max_chunks = 4;
    options.n_threads = 1;
    options.missing_experts = MissingExperts::All;
    for (const std::int64_t wave : {1, 3, 4}) {
        options.wave_chunks = wave;
        const Outcome alone = run_alone(options);
        EXPECT_FALSE(marked_experts(alone.result.matrix, MissingExperts::All).empty());
        for (const int ranks : {1, 2, 3, 7}) {
            SCOPED_TRACE(fmt::format("{} ranks, waves of {}", ranks, wave));
            expect_same(run_on(ranks, options), alone);
        }
    }
}

}  // namespace
}  // namespace assay::calibrate
