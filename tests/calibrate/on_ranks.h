// Runs on several ranks, which are threads here, and on one process.
#pragma once

#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "cluster/hub.h"

namespace assay::calibrate {

/// What rank 0 says, and has written.
struct Outcome {
    Result result;
    Recorder told;
    std::string bytes;
};

/// Throws what rank 0 throws; of several ranks the others would wait for it then.
inline Outcome run_on(int ranks, const Options& options) {
    Outcome outcome;
    std::exception_ptr failure;
    cluster::Hub hub(ranks);
    hub.run([&](cluster::Communicator& communicator) {
        Recorder silent;
        if (communicator.rank() > 0) {
            run(options, silent, &communicator);
            return;
        }
        try {
            outcome.result = run(options, outcome.told, &communicator);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    if (failure) std::rethrow_exception(failure);
    outcome.bytes = read_file(options.output);
    return outcome;
}

inline Outcome run_alone(const Options& options) {
    Outcome outcome;
    outcome.result = run(options, outcome.told);
    outcome.bytes = read_file(options.output);
    return outcome;
}

inline void expect_same(const Outcome& found, const Outcome& expected) {
    EXPECT_TRUE(found.bytes == expected.bytes);
    EXPECT_EQ(found.told.perplexities, expected.told.perplexities);
    EXPECT_EQ(found.result.perplexity, expected.result.perplexity);
    EXPECT_EQ(found.result.chunks_done, expected.result.chunks_done);
    EXPECT_EQ(found.result.tokens, expected.result.tokens);
    EXPECT_EQ(found.result.skipped, expected.result.skipped);
    ASSERT_EQ(found.result.roles.size(), expected.result.roles.size());
    for (std::size_t i = 0; i < expected.result.roles.size(); ++i) {
        EXPECT_EQ(found.result.roles[i].role, expected.result.roles[i].role);
        EXPECT_EQ(found.result.roles[i].tokens, expected.result.roles[i].tokens);
        EXPECT_EQ(found.result.roles[i].estimate->perplexity, expected.result.roles[i].estimate->perplexity);
    }
    ASSERT_EQ(found.result.nextn.size(), expected.result.nextn.size());
    for (std::size_t i = 0; i < expected.result.nextn.size(); ++i)
        EXPECT_EQ(found.result.nextn[i].estimate->perplexity, expected.result.nextn[i].estimate->perplexity);
}

}  // namespace assay::calibrate
