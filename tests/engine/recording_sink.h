// A sink that keeps all it hears, to compare two passes.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/activation_sink.h"

namespace assay::engine {

/// Totals and counts by the weights and the number of a matrix, similarities by "kind/layer/chunk", losses by
/// tokens ahead and chunk.
struct RecordingSink : ActivationSink {
    struct Kept {
        std::vector<double> high;  ///< of squares, then of values
        std::vector<float> low;
        std::vector<double> counts;  ///< of each matrix

        bool operator==(const Kept&) const = default;
    };
    backend::Totals on_input(const InputSums& sums) override {
        const std::lock_guard lock(*mutex);
        const std::size_t columns = sums.counts.size() / static_cast<std::size_t>(sums.chunks.count) *
                                    static_cast<std::size_t>(sums.width);
        Kept& kept = inputs[{{sums.weights.begin(), sums.weights.end()}, sums.first_matrix}];
        kept.high.resize(2 * columns);
        kept.low.resize(2 * columns);
        const std::size_t matrices = sums.counts.size() / static_cast<std::size_t>(sums.chunks.count);
        kept.counts.resize(matrices);
        for (std::size_t i = 0; i < sums.counts.size(); ++i) kept.counts[i % matrices] += sums.counts[i];
        const ExactSums all{kept.high, kept.low};
        return {all.part(0, columns), all.part(columns, columns), adding.get()};
    }
    void on_similarity(const SimilaritySums& sums) override {
        const std::lock_guard lock(*mutex);
        similarities[std::to_string(static_cast<int>(sums.kind)) + "/" + std::to_string(sums.layer) + "/" +
                     std::to_string(sums.chunk)] = {sums.cosine, sums.relative_change};
    }
    void on_losses(const ChunkLosses& sums) override {
        const std::lock_guard lock(*mutex);
        losses[{sums.ahead, sums.chunk}].assign(sums.losses.begin(), sums.losses.end());
    }
    bool operator==(const RecordingSink& other) const {
        return inputs == other.inputs && similarities == other.similarities && losses == other.losses;
    }

    std::unique_ptr<std::mutex> mutex = std::make_unique<std::mutex>();
    std::unique_ptr<std::mutex> adding = std::make_unique<std::mutex>();
    std::map<std::pair<std::vector<std::string>, std::int64_t>, Kept> inputs;
    std::map<std::string, std::pair<double, double>> similarities;
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<double>> losses;
};

}  // namespace assay::engine
