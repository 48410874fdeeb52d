// Chunks as documents make them, for the tests of this folder.
#pragma once

#include <random>

#include "calibrate/run_fixture.h"
#include "gguf/file.h"

namespace assay::calibrate {

inline constexpr std::int64_t kLongest = 130;
inline const std::vector<std::int64_t> kLengths{40, 1, 130, 7, 2, 100, 64, 3};

/// Of kLengths tokens, each said by somebody; weighted: with weights of 0 to 3/4.
inline Chunks unequal_chunks(std::int64_t n_vocab, bool weighted) {
    Chunks chunks;
    chunks.n_ctx = kLongest;
    chunks.starts = {0};
    for (const std::int64_t length : kLengths) chunks.starts.push_back(chunks.starts.back() + length);
    chunks.n_tokens = chunks.starts.back();
    std::mt19937 random(3);
    for (std::int64_t i = 0; i < chunks.n_tokens; ++i) {
        chunks.targets.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(n_vocab)));
        if (weighted) chunks.weights.push_back(static_cast<float>(random() % 4) / 4);
        chunks.roles.push_back(documents::kRoles[random() % documents::kRoles.size()]);
    }
    chunks.inputs = chunks.targets;
    chunks.scored = engine::ScoredTokens::AllButFirst;
    return chunks;
}

/// A run over them. `weighted` is borrowed, and asked when the run begins.
inline Options options_for_unequal(const test::Fixture& fixture, const bool& weighted) {
    Options options = options_for(fixture);
    options.n_ctx = kLongest;
    options.max_chunks = -1;
    options.similarity = true;
    options.make_chunks = [&weighted](const gguf::File& file) {
        return unequal_chunks(static_cast<std::int64_t>(file.get("token_embd.weight").rows()), weighted);
    };
    return options;
}

}  // namespace assay::calibrate
