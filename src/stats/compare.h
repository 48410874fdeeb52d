// What changed between two matrices, for example of two calibration texts.
#pragma once

#include <string>
#include <vector>

#include "imatrix/matrix.h"

namespace assay::stats {

/// Two views of one weight: its mean squares in the one matrix and in the other.
struct Change {
    std::string name;
    double cosine = 0;            ///< 1: the same shape
    double rank_correlation = 0;  ///< Spearman's; 1: the columns have the same order
    double energy_ratio = 0;      ///< second over first; 0 when the first has none
};

struct Comparison {
    std::vector<Change> changes;           ///< by name; over the experts that both have data for
    std::vector<std::string> only_first;   ///< also weights whose sizes or expert counts differ,
    std::vector<std::string> only_second;  ///< and those without common data, in both lists
};

Comparison compare(const imatrix::Matrix& first, const imatrix::Matrix& second);

}  // namespace assay::stats
