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

/// Totals of squares, then of values, by "weight/matrix/occurrence", similarities by "kind/layer/chunk",
/// losses by tokens ahead and chunk.
struct RecordingSink : ActivationSink {
    std::vector<backend::Totals> on_input(const InputSums& sums) override {
        const std::lock_guard lock(*mutex);
        std::vector<backend::Totals> places;
        const std::size_t columns = sums.counts.size() / static_cast<std::size_t>(sums.n_chunks) *
                                    static_cast<std::size_t>(sums.width);
        for (const std::string& weight : sums.weights) {
            auto& kept = inputs[weight + "/" + std::to_string(sums.first_matrix) + "/" +
                                std::to_string(sums.occurrence)];
            kept.resize(2 * columns);
            places.push_back({std::span(kept).first(columns), std::span(kept).subspan(columns, columns)});
        }
        return places;
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
    std::map<std::string, std::vector<double>> inputs;
    std::map<std::string, std::pair<double, double>> similarities;
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<double>> losses;
};

}  // namespace assay::engine
