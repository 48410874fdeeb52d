// Statistics of the mean activation of each column, which need the sums of x. Columns as llama.cpp's pull
// request 14891 defines them; double precision, because no digits of a released tool have to be matched.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "imatrix/matrix.h"
#include "stats/weight_name.h"

namespace assay::stats {

/// Over m = mean of x per column; over the mean of x^2 where the sums of x are not known. Relations to the
/// previous block exist only where that block has the same weight, of the same kind and size.
struct ActivationStats {
    std::string name;
    WeightName parts;
    bool has_sums = false;  ///< m is the mean of x
    double mean = 0;        ///< of m
    double stddev = 0;      ///< of m, population
    double skewness = 0;
    double kurtosis = 0;                ///< excess
    double entropy_norm = 0;            ///< of the energy, percent of log2 n
    double energy = 0;                  ///< sum over columns of the mean of x^2
    std::optional<double> gain;         ///< root mean energy over that of the previous block
    std::optional<double> l2_distance;  ///< |m - m'|; only with has_sums
    std::optional<double> cosine;       ///< of m and m', signed
    std::optional<double> pearson;
    std::optional<double> covariance;
};

/// The same over the weights of one block, one after the other; the relations only over those that the
/// previous block has too.
struct ActivationLayer {
    int layer = 0;
    double energy = 0;  ///< sum over the weights
    std::optional<double> gain, l2_distance, cosine, pearson, covariance;
};

/// By block, then name; weights outside blocks last. Weights without data are left out.
std::vector<ActivationStats> activation_stats(const imatrix::Matrix& matrix);

/// By block; weights outside blocks are left out. The relations take one kind of m: weights whose sums of x
/// are known wherever there are any.
std::vector<ActivationLayer> activation_layers(const imatrix::Matrix& matrix);

}  // namespace assay::stats
