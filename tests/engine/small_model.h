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
    explicit SmallModel(const std::string& name)
        : fixture(name), file(gguf::File::open(fixture.model())), program(model::build(file, {kContext})) {
        std::mt19937 random(1);
        for (std::int64_t i = 0; i < kChunks * kContext; ++i)
            tokens.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(program.n_vocab)));
    }

    /// Of a Pass or a Team.
    template <typename Runs> RecordingSink run(Runs& pass) const {
        RecordingSink sink;
        pass.run({0, kChunks, tokens, tokens}, sink, [](std::int64_t) {});
        return sink;
    }

    test::Fixture fixture;
    gguf::File file;
    model::Program program;
    std::vector<std::int32_t> tokens;
};

}  // namespace assay::engine
