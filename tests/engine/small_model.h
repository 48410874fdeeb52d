// A model small enough to run many times in a test, and three chunks for it.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "engine/pass.h"
#include "engine/recording_sink.h"
#include "model/registry.h"
#include "support/fixture.h"

namespace assay::engine {

inline constexpr std::int64_t kContext = 64;
inline constexpr std::int64_t kChunks = 3;

/// A fixture with random tokens for it.
struct SmallModel {
    explicit SmallModel(const std::string& name, const model::BuildOptions& options = {kContext})
        : fixture(name), file(gguf::File::open(fixture.model())), program(model::build(file, options)) {
        std::mt19937 random(1);
        for (std::int64_t i = 0; i < kChunks * kContext; ++i)
            tokens.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(program.n_vocab)));
        for (std::int64_t chunk = 0; chunk <= kChunks; ++chunk) starts.push_back(chunk * kContext);
    }

    /// Chunks from `first` on. Borrows the tokens.
    Wave wave(std::int64_t first = 0, std::int64_t count = kChunks) const {
        Wave wave;
        wave.first_chunk = first;
        wave.starts =
            std::span(starts).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count + 1));
        wave.inputs = wave.targets = std::span(tokens).subspan(static_cast<std::size_t>(wave.starts.front()),
                                                               static_cast<std::size_t>(wave.n_tokens()));
        return wave;
    }

    /// Chunks of these lengths instead, with random tokens.
    void cut(const std::vector<std::int64_t>& lengths) {
        starts = {0};
        for (const std::int64_t length : lengths) starts.push_back(starts.back() + length);
        std::mt19937 random(2);
        tokens.resize(static_cast<std::size_t>(starts.back()));
        for (std::int32_t& token : tokens)
            token = static_cast<std::int32_t>(random() % static_cast<unsigned>(program.n_vocab));
    }

    /// Of a Pass or a Team.
    template <typename Runs> RecordingSink run(Runs& pass) const {
        RecordingSink sink;
        pass.run(wave(), sink, [](std::int64_t) {});
        return sink;
    }

    test::Fixture fixture;
    gguf::File file;
    model::Program program;
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> starts;
};

}  // namespace assay::engine
