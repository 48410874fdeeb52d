// What leaves the forward pass.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "backend/backend.h"

namespace assay::engine {

/// The input of observed products, summed over each of some consecutive chunks. Valid during the call only.
struct InputSums {
    std::span<const std::string> weights;  ///< names of all weights multiplied with this input
    std::int64_t chunk = 0;                ///< number of the first chunk within the run, from 0
    std::int64_t n_chunks = 1;
    std::int64_t width = 0;                ///< n_in
    std::span<const std::int64_t> counts;  ///< [n_chunks, matrices] rows: one matrix dense, or experts
    /// Adds the sums of x^2 and of x to totals [matrices, width], one chunk after another, where they are:
    /// they need not come to the host. Returns the first of the chunks, from 0, with a sum that is not
    /// finite.
    std::function<std::optional<std::int64_t>(const backend::Totals&)> add_to;
    std::int64_t first_matrix = 0;  ///< the first of these matrices within the weight
    std::int64_t n_matrices = 1;    ///< of the weight in all
};

/// Cosine material of rows, summed over one chunk.
enum class Similarity {
    LayerInput,  ///< normalised inputs of layer L and L+1 (llama's and ik's definition)
    Attention,   ///< ffn input of L with layer input of L
    Ffn,         ///< ffn input of L with layer input of L+1
    Residual,    ///< residual stream before and after layer L
    ResidualAttention,
    ResidualFfn,
};

/// Sums over one chunk's rows of cos(a, b) and of |b - a| / |a|.
struct SimilaritySums {
    Similarity kind = Similarity::LayerInput;
    std::int64_t layer = 0;
    std::int64_t chunk = 0;
    std::int64_t rows = 0;
    double cosine = 0;
    double relative_change = 0;
};

/// The losses of one chunk: -log p of the scored positions, in order.
struct ChunkLosses {
    std::int64_t chunk = 0;
    std::span<const double> losses;
};

/// Called from one thread at a time, which is not the one that runs the pass. For each weight, chunks come in
/// increasing order; so do the chunks of losses.
class ActivationSink {
  public:
    virtual ~ActivationSink() = default;
    virtual void on_input(const InputSums& sums) = 0;
    virtual void on_similarity(const SimilaritySums& sums) = 0;
    virtual void on_losses(const ChunkLosses& losses) = 0;
};

}  // namespace assay::engine
