// What goes through a pass: chunks of tokens, and what is asked of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/wave_keeper.h"

namespace assay::engine {

/// Which tokens of a chunk are scored: each by what is predicted in the row before it.
enum class ScoredTokens : std::uint8_t {
    SecondHalf,   ///< those behind the one in the middle: how llama-imatrix scores a text cut anywhere
    AllButFirst,  ///< of a document, where nothing is missing before its beginning
};

/// Rows whose next token is scored, of one chunk: consecutive ones.
struct ScoredRows {
    std::int64_t first = 0;
    std::int64_t count = 0;

    /// Of a chunk of `n_tokens` by a part whose rows begin at token `ahead`, and which predicts `ahead`
    /// tokens further. All parts score the same tokens, but for those that have no row to be predicted in.
    static ScoredRows of(ScoredTokens rule, std::int64_t n_tokens, std::int64_t ahead) {
        const std::int64_t first =
            std::max(rule == ScoredTokens::SecondHalf ? n_tokens / 2 : std::int64_t{0}, ahead) - ahead;
        return {first, std::max<std::int64_t>(0, n_tokens - ahead - 1 - first)};
    }
};

/// Experts of a stage by the name of its `up` weight, each in increasing order.
using ExpertLists = std::map<std::string, std::vector<std::int64_t>>;

/// Whole chunks one after another. Borrowed.
struct Wave {
    std::int64_t first_chunk = 0;          ///< its number within the run
    std::span<const std::int64_t> starts;  ///< [n_chunks + 1] of the run's tokens: chunk i has [i] to [i + 1]
    std::span<const std::int32_t> inputs{};   ///< what is evaluated, from token starts[0] on
    std::span<const std::int32_t> targets{};  ///< what the losses compare with: the text's own tokens
    /// What the rows of tokens count in sums of products' inputs; empty: 1.
    std::span<const float> weights{};
    ScoredTokens scored = ScoredTokens::SecondHalf;
    /// Null, or borrowed: these experts take every row too, beside those that the router chose, and only what
    /// they see is summed. The values of the pass are the same as without.
    const ExpertLists* forced = nullptr;
    const WaveStart* start = nullptr;  ///< null: from the first stage
    WaveKeeper* keeper = nullptr;      ///< null: nobody asks between stages

    std::int64_t n_chunks() const noexcept { return std::ssize(starts) - 1; }
    std::int64_t n_tokens() const noexcept { return starts.back() - starts.front(); }
    /// The wave's first token of a chunk, counted within it as is `chunk`.
    std::int64_t first_token(std::int64_t chunk) const noexcept {
        return starts[static_cast<std::size_t>(chunk)] - starts.front();
    }
    std::int64_t tokens_of(std::int64_t chunk) const noexcept {
        return first_token(chunk + 1) - first_token(chunk);
    }
    ChunkRange chunks() const noexcept { return {first_chunk, n_chunks()}; }
};

inline std::size_t first_stage(const Wave& wave) noexcept {
    return wave.start != nullptr ? wave.start->stage : 0;
}

}  // namespace assay::engine
