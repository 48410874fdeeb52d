// What rounding a part of a model does to its predictions: differences between a variant and the model itself
// over the same positions.
//
// With l the loss of a position, d the variant's loss less the model's, P and P' the perplexities:
//   P' - P = P (exp(mean d) - 1)
// and since the positions are paired, its error is that of the mean of  P' d + (P' - P) l  (the delta
// method), not that of two separate perplexities. The divergence is a mean over positions, with the error of
// a mean. Positions count as independent, as in the perplexity's own error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "perplexity/measured.h"

namespace assay::perplexity {

/// Sums over positions. Chunks add theirs in chunk order.
struct PairedSums {
    double reference = 0;  ///< of l
    double reference_squared = 0;
    double difference = 0;  ///< of d
    double difference_squared = 0;
    double product = 0;  ///< of d l
    double divergence = 0;
    double divergence_squared = 0;
    std::uint64_t count = 0;

    void add(double reference_loss, double loss, double kl) noexcept;
    void merge(const PairedSums& other) noexcept;

    /// All need a position. Errors are 0 for a single one.
    Measured reference_perplexity() const noexcept;
    Measured perplexity_change() const noexcept;
    Measured mean_divergence() const noexcept;  ///< in nats
};

/// One rounded part of the model.
struct UnitSensitivity {
    std::string unit;  ///< "blk.3", "attn_q", or a tensor's name
    std::string type;
    std::vector<std::string> tensors;  ///< that were rounded
    std::uint64_t weights = 0;
    Measured perplexity_change;
    Measured divergence;
};

/// Tensors that a type could not be given to.
struct Unrounded {
    std::string type;
    std::vector<std::string> tensors;
};

struct Sensitivity {
    std::string model;
    std::string architecture;
    std::string by;  ///< "layer", "kind" or "tensor"
    std::int64_t n_ctx = 0;
    std::int64_t n_chunks = 0;
    std::uint64_t positions = 0;
    Measured perplexity;  ///< of the model itself
    std::vector<UnitSensitivity> units;
    std::vector<Unrounded> unrounded;
};

}  // namespace assay::perplexity
