// A figure with its error.
#pragma once

#include <algorithm>
#include <cmath>

namespace assay::perplexity {

/// A figure and one standard error.
struct Measured {
    double value = 0;
    double error = 0;
};

/// Of the mean of n values with this variance (by the sums of squares over n); 0 for a single one.
inline double error_of_mean(double variance, double n) {
    return n > 1 ? std::sqrt(std::max(0.0, variance) / (n - 1)) : 0;
}

/// The mean of n values from their sum and that of their squares.
inline Measured mean_of(double sum, double sum_of_squares, double n) {
    const double mean = sum / n;
    return {mean, error_of_mean(sum_of_squares / n - mean * mean, n)};
}

}  // namespace assay::perplexity
