// How one weight's energy is spread: quantiles, and the few columns that carry most of it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "imatrix/matrix.h"

namespace assay::stats {

inline constexpr std::array<double, 7> kQuantiles{0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0};

struct Outlier {
    std::uint64_t matrix = 0;  ///< expert, 0 for dense weights
    std::uint64_t column = 0;  ///< within the matrix
    double mean_square = 0;
    double times_median = 0;  ///< over the median column; 0 when that is zero
    double share = 0;         ///< of the weight's energy
};

struct Distribution {
    std::string name;
    std::array<double, kQuantiles.size()> quantiles{};  ///< of the mean squares, linearly interpolated
    std::vector<Outlier> outliers;                      ///< falling
};

/// The `n_outliers` largest columns that exceed `times_median` medians.
struct OutlierRule {
    std::size_t n_outliers = 5;
    double times_median = 20;
};

/// By name; weights without data are left out.
std::vector<Distribution> distributions(const imatrix::Matrix& matrix, const OutlierRule& rule);

}  // namespace assay::stats
