// A sink that keeps all it hears, to compare two passes.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include "engine/activation_sink.h"

namespace assay::engine {

/// Totals of squares, then of values, by "weight/matrix", similarities by "kind/layer/chunk", losses by
/// chunk.
struct RecordingSink : ActivationSink {
    void on_input(const InputSums& sums) override {
        const std::size_t columns = sums.counts.size() / static_cast<std::size_t>(sums.n_chunks) *
                                    static_cast<std::size_t>(sums.width);
        for (const std::string& weight : sums.weights) {
            auto& kept = inputs[weight + "/" + std::to_string(sums.first_matrix)];
            kept.resize(2 * columns);
            EXPECT_FALSE(
                sums.add_to({std::span(kept).first(columns), std::span(kept).subspan(columns, columns)}));
        }
    }
    void on_similarity(const SimilaritySums& sums) override {
        similarities[std::to_string(static_cast<int>(sums.kind)) + "/" + std::to_string(sums.layer) + "/" +
                     std::to_string(sums.chunk)] = {sums.cosine, sums.relative_change};
    }
    void on_losses(const ChunkLosses& sums) override {
        losses[sums.chunk].assign(sums.losses.begin(), sums.losses.end());
    }
    bool operator==(const RecordingSink& other) const {
        return inputs == other.inputs && similarities == other.similarities && losses == other.losses;
    }

    std::map<std::string, std::vector<double>> inputs;
    std::map<std::string, std::pair<double, double>> similarities;
    std::map<std::int64_t, std::vector<double>> losses;
};

}  // namespace assay::engine
