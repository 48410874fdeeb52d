// The tokens of a run, cut into the chunks that a model sees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "documents/corpus.h"
#include "engine/wave.h"

namespace assay::calibrate {

/// Chunks of 1 to n_ctx tokens, each evaluated on its own: those of a plain text are n_ctx long, documents as
/// long as they are.
struct Chunks {
    std::int64_t n_ctx = 0;            ///< the longest that a chunk may be
    std::int64_t n_tokens = 0;         ///< of the text, before anything was dropped
    std::int64_t n_in_text = 0;        ///< chunks of the whole plain text, those that are not run included
    std::uint64_t text = 0;            ///< fingerprint of all its tokens
    std::vector<std::int64_t> starts;  ///< [n_chunks + 1]: chunk i has tokens [starts[i], starts[i + 1])
    std::vector<std::int32_t> inputs;  ///< [starts.back()] what is evaluated
    /// [starts.back()] what losses compare with: the text's own tokens, which inputs are too but for a BOS
    /// that stands in for the first of a chunk.
    std::vector<std::int32_t> targets;
    /// [starts.back()] what each token's row counts in sums and counts of the matrix, a multiple of 1/1024
    /// from 0 to 1024, so that counts are exact. Empty: 1. Losses and similarity do not go by them.
    std::vector<float> weights;
    std::vector<documents::Role> roles;          ///< [starts.back()] who says each token; empty: nobody knows
    std::optional<documents::Counts> documents;  ///< what became of them, where the text holds documents
    engine::ScoredTokens scored = engine::ScoredTokens::SecondHalf;

    std::int64_t n_chunks() const noexcept { return starts.empty() ? 0 : std::ssize(starts) - 1; }
    /// Of `count` chunks from `first` on.
    std::int64_t tokens_of(std::int64_t first, std::int64_t count) const {
        return starts[static_cast<std::size_t>(first + count)] - starts[static_cast<std::size_t>(first)];
    }
    /// How many of the full length have as many tokens, the last of them perhaps in part.
    std::int64_t full_chunks(std::int64_t first, std::int64_t count) const {
        return (tokens_of(first, count) + n_ctx - 1) / n_ctx;
    }
    /// All n_ctx long, all tokens weigh 1, and those of the second half are scored.
    bool are_plain() const;
    std::span<const std::int32_t> input_range(std::int64_t first, std::int64_t count) const;
    std::span<const std::int32_t> target_range(std::int64_t first, std::int64_t count) const;
    /// Borrows these chunks.
    engine::Wave wave(std::int64_t first, std::int64_t count) const;
    /// Those behind it move up.
    void leave_out(std::int64_t chunk);
    /// Throws Error{Internal} where the parts do not fit together.
    void check() const;
};

/// `starts` of n_chunks chunks of n_ctx tokens.
std::vector<std::int64_t> equal_starts(std::int64_t n_chunks, std::int64_t n_ctx);

}  // namespace assay::calibrate
