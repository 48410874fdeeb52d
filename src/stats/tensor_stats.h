// The statistics that `--show-statistics` prints: how the energy of each weight's input is spread over its
// columns. Formulas, F32 arithmetic and order of summation are those of llama-imatrix (July 2025 and later),
// so that the printed digits agree.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "imatrix/matrix.h"
#include "stats/weight_name.h"

namespace assay::stats {

/// Over a = mean of x^2 per column, experts without data left out.
struct TensorStats {
    std::string name;
    WeightName parts;
    std::uint64_t n = 0;     ///< columns in a
    float energy = 0;        ///< sum of a
    float min = 0, max = 0;  ///< of a
    float mean = 0;
    float stddev = 0;        ///< population
    float active = 0;        ///< share of a above 1e-5
    float entropy = 0;       ///< bits, of a / energy
    float entropy_norm = 0;  ///< percent of log2 n
    float zd = 0;            ///< share of a more than one deviation above the mean
    float cos_sim = 0;       ///< raw sums against the same weight one block earlier, 0 without one
};

/// Means over the tensors of one block, weighted by n.
struct LayerStats {
    int layer = 0;
    float energy = 0;
    float zd = 0;
    float cos_sim = 0;
};

/// By short tensor name, then by falling energy. Weights without any data are left out with a note.
std::vector<TensorStats> tensor_stats(const imatrix::Matrix& matrix, imatrix::Notes& notes);

/// By block; weights outside blocks are left out.
std::vector<LayerStats> layer_stats(std::span<const TensorStats> tensors);

}  // namespace assay::stats
