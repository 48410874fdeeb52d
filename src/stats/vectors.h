// The vectors that statistics are taken of.
#pragma once

#include <span>
#include <vector>

#include "imatrix/matrix.h"

namespace assay::stats {

/// Mean of x^2 for each column, matrix after matrix; matrices without data are left out. F32 quotient of F32
/// operands, as quantisers compute it.
std::vector<float> mean_squares(const imatrix::Entry& entry);

/// Mean of x for each column, likewise; empty when the sums of x are not known.
std::vector<double> means(const imatrix::Entry& entry);

/// Cosine of the angle between two vectors of the same length; 0 when either is zero.
double cosine(std::span<const double> a, std::span<const double> b);

/// Pearson's correlation; 0 when either vector is constant.
double pearson(std::span<const double> a, std::span<const double> b);

/// Population covariance.
double covariance(std::span<const double> a, std::span<const double> b);

/// 1-based ranks, ties sharing their mean rank (as Spearman's correlation wants them).
std::vector<double> ranks(std::span<const double> values);

}  // namespace assay::stats
