#include "calibrate/chunks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace assay::calibrate {
namespace {

using testing::ElementsAre;

Chunks some() {
    Chunks chunks;
    chunks.n_ctx = 4;
    chunks.starts = {0, 1, 5, 7};
    chunks.inputs = {10, 11, 12, 13, 14, 15, 16};
    chunks.targets = {20, 21, 22, 23, 24, 25, 26};
    chunks.weights = {1, 0.5, 2, 0, 1, 1, 1};
    return chunks;
}

TEST(UnequalChunks, ARangeHasItsTokensAndWeights) {
    const Chunks chunks = some();
    EXPECT_EQ(chunks.n_chunks(), 3);
    const engine::Wave wave = chunks.wave(1, 2);
    EXPECT_EQ(wave.n_tokens(), 6);
    EXPECT_EQ(wave.first_token(1), 4);
    EXPECT_EQ(wave.tokens_of(1), 2);
    EXPECT_THAT(wave.inputs, ElementsAre(11, 12, 13, 14, 15, 16));
    EXPECT_THAT(wave.targets, ElementsAre(21, 22, 23, 24, 25, 26));
    EXPECT_THAT(wave.weights, ElementsAre(0.5, 2, 0, 1, 1, 1));
}

TEST(UnequalChunks, WhatIsLeftOutIsGone) {
    Chunks chunks = some();
    chunks.leave_out(1);
    EXPECT_THAT(chunks.starts, ElementsAre(0, 1, 3));
    EXPECT_THAT(chunks.inputs, ElementsAre(10, 15, 16));
    EXPECT_THAT(chunks.weights, ElementsAre(1, 1, 1));
    chunks.check();
}

TEST(UnequalChunks, AreRefusedWhereTheyDoNotFitTogether) {
    some().check();
    const auto refused = [](auto change) {
        Chunks chunks = some();
        change(chunks);
        EXPECT_THROW(chunks.check(), Error);
    };
    refused([](Chunks& c) { c.starts.clear(); });
    refused([](Chunks& c) { c.starts[1] = 5; });
    refused([](Chunks& c) { c.n_ctx = 3; });
    refused([](Chunks& c) { c.targets.pop_back(); });
    refused([](Chunks& c) { c.weights.pop_back(); });
    refused([](Chunks& c) { c.weights[2] = 0.0001f; });
    refused([](Chunks& c) { c.weights[2] = -1; });
}

TEST(ScoredRows, LieBeforeTheTokensThatAreScored) {
    const auto rows = [](engine::ScoredTokens rule, std::int64_t n, std::int64_t ahead) {
        const engine::ScoredRows scored = engine::ScoredRows::of(rule, n, ahead);
        return std::pair(scored.first, scored.count);
    };
    using enum engine::ScoredTokens;
    using Pair = std::pair<std::int64_t, std::int64_t>;
    EXPECT_EQ(rows(SecondHalf, 8, 0), Pair(4, 3));
    EXPECT_EQ(rows(SecondHalf, 8, 1), Pair(3, 3));
    EXPECT_EQ(rows(SecondHalf, 1, 0).second, 0);
    EXPECT_EQ(rows(AllButFirst, 8, 0), Pair(0, 7));
    EXPECT_EQ(rows(AllButFirst, 8, 2), Pair(0, 5)) << "tokens 3 to 7";
    EXPECT_EQ(rows(AllButFirst, 1, 0).second, 0);
    EXPECT_EQ(rows(AllButFirst, 2, 2).second, 0);
}

}  // namespace
}  // namespace assay::calibrate
