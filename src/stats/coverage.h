// Whether a matrix says enough: weights that no text reached, and experts that saw too little of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "imatrix/matrix.h"

namespace assay::stats {

/// The mean of k squares of a normal variable has a relative error of sqrt(2 / k): 14 % at 100 rows. Below
/// that the order of an expert's columns is largely noise.
inline constexpr int kStarvingRows = 100;

/// The counts of one expert weight.
struct ExpertCoverage {
    std::string name;
    std::vector<double> counts;    ///< [n_experts]
    std::uint64_t n_missing = 0;   ///< experts without any row
    std::uint64_t n_starving = 0;  ///< experts with some rows, fewer than kStarvingRows
    double least = 0, median = 0, most = 0;
    std::uint64_t least_fed = 0;  ///< the first expert with the least rows
};

enum class Verdict {
    Complete,    ///< every weight and expert has enough rows
    Thin,        ///< all have data, some of it from few rows
    Incomplete,  ///< some weight or expert has none
};

struct Coverage {
    std::uint64_t n_weights = 0;
    std::vector<ExpertCoverage> experts;  ///< by name
    std::vector<std::string> thin;        ///< dense weights with some, fewer than kStarvingRows
    std::vector<std::string> empty;       ///< weights without any row
    std::vector<std::string> absent;      ///< expected weights that the matrix does not know
    /// Types that quantisers refuse without data, for a reader; set by who knows them.
    std::string demanding_types;

    std::uint64_t n_expert_matrices() const noexcept;
    /// The weight with the least fed expert; null: there are none.
    const ExpertCoverage* least_fed() const noexcept;
    std::uint64_t n_missing_experts() const noexcept;
    std::uint64_t n_starving_experts() const noexcept;
    Verdict verdict() const noexcept;
    /// One or two sentences: what is missing and what to do about it.
    std::string sentence() const;
    /// How many expert matrices some token has reached, and the least fed of them.
    std::string experts_line() const;
    /// What a quantiser would do for types that demand data, where some matrix lacks it; else empty.
    std::string demand_line() const;
};

/// `expected`: the weights that a quantiser will ask for, when the model is known; else empty.
Coverage coverage(const imatrix::Matrix& matrix, std::span<const std::string> expected = {});

std::string_view to_string(Verdict verdict) noexcept;

}  // namespace assay::stats
