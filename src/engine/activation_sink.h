// What leaves the forward pass.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "backend/backend.h"
#include "core/kinds.h"

namespace assay::engine {

/// Chunks [first, first + count) of the run.
struct ChunkRange {
    std::int64_t first = 0;
    std::int64_t count = 0;
};

/// What is known of an input of observed products, whose columns were summed over each of some consecutive
/// chunks. Valid during the call only.
struct InputSums {
    std::span<const std::string> weights;  ///< names of all weights multiplied with this input
    ChunkRange chunks;
    std::int64_t width = 0;  ///< n_in
    /// [chunks, matrices] what the rows count together: one matrix dense, or experts.
    std::span<const double> counts;
    std::int64_t first_matrix = 0;  ///< the first of these matrices within the weight
    std::int64_t n_matrices = 1;    ///< of the weight in all
};

/// Sums over one chunk's rows of cos(a, b) and of |b - a| / |a|.
struct SimilaritySums {
    SimilarityKind kind = SimilarityKind::Layer;
    std::int64_t layer = 0;
    std::int64_t chunk = 0;
    std::int64_t rows = 0;
    double cosine = 0;
    double relative_change = 0;
};

/// The losses of one chunk: -log p of the scored tokens, which follow one another, by the trunk, or by the
/// block that predicts `ahead` tokens further.
struct ChunkLosses {
    std::int64_t chunk = 0;
    std::int64_t ahead = 0;
    std::int64_t first_token = 0;  ///< the first of them within the chunk
    std::span<const double> losses;
};

/// Called from threads that are not those of the passes, by several at the same time where several devices
/// share a wave, in any order of chunks: what a sink makes of it must not depend on the order.
class ActivationSink {
  public:
    virtual ~ActivationSink() = default;
    /// Returns where the sums of this input are to be added, of length [matrices * width]. The place stays
    /// until the wave ends. A weight may be among several inputs of a chunk.
    virtual backend::Totals on_input(const InputSums& sums) = 0;
    virtual void on_similarity(const SimilaritySums& sums) = 0;
    virtual void on_losses(const ChunkLosses& losses) = 0;
};

}  // namespace assay::engine
