// What leaves the forward pass.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/kinds.h"

namespace assay::engine {

/// What is known of an input of observed products, whose columns were summed over each of some consecutive
/// chunks. Valid during the call only.
struct InputSums {
    std::span<const std::string> weights;  ///< names of all weights multiplied with this input
    std::int64_t chunk = 0;                ///< number of the first chunk within the run, from 0
    std::int64_t n_chunks = 1;
    std::int64_t width = 0;                ///< n_in
    std::span<const std::int64_t> counts;  ///< [n_chunks, matrices] rows: one matrix dense, or experts
    std::int64_t first_matrix = 0;         ///< the first of these matrices within the weight
    std::int64_t n_matrices = 1;           ///< of the weight in all
    /// Which of the inputs that the weights have in a chunk, from 0: a weight may be multiplied more than
    /// once.
    std::int64_t occurrence = 0;
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

/// The losses of one chunk: -log p of the scored tokens, in order, by the trunk, or by the block that
/// predicts `ahead` tokens further.
struct ChunkLosses {
    std::int64_t chunk = 0;
    std::int64_t ahead = 0;
    std::span<const double> losses;
};

/// Called from threads that are not those of the passes, by several at the same time where several devices
/// share a wave. For each weight and occurrence chunks come in increasing order, each when the one before was
/// added; so do the chunks of each layer's similarity, and those of losses.
class ActivationSink {
  public:
    virtual ~ActivationSink() = default;
    /// Returns where the sums of this input are to be added, each of length [matrices * width]: once to every
    /// place. The places stay until the wave ends, and are apart for different weights, matrices and
    /// occurrences.
    virtual std::vector<backend::Totals> on_input(const InputSums& sums) = 0;
    virtual void on_similarity(const SimilaritySums& sums) = 0;
    virtual void on_losses(const ChunkLosses& losses) = 0;
};

}  // namespace assay::engine
