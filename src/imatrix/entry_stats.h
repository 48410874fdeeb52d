// The twelve numbers about each entry that matrix files hold since October 2026 (NAME.stats), which are also
// the rows of --show-statistics. Formulas, and where F32 and where F64 is computed, are llama-imatrix's; sums
// count as F32, as files hold them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imatrix/entry_name.h"
#include "imatrix/matrix.h"

namespace assay::imatrix {

inline constexpr std::array<std::string_view, 12> kStatNames{
    "sum_sq", "mean",   "elements", "std_deviation", "skewness", "kurtosis",
    "gain",   "h_norm", "l2_dist",  "cossim",        "pearson",  "covariance"};

/// Energies up to this one count as none.
inline constexpr double kNoEnergy = 1e-10;

/// Sums over the columns of an entry, x, beside the same ones of the preceding entry, y. Those of several
/// entries add up.
struct ColumnPairs {
    std::uint64_t n = 0;
    double xx = 0, yy = 0, xy = 0;
    double distance_sq = 0;                                 ///< sum of (x - y)^2
    double centred_xx = 0, centred_yy = 0, centred_xy = 0;  ///< with each entry's means taken off

    bool all_zero() const noexcept { return xx == 0 && yy == 0 && distance_sq == 0; }
    void add(const ColumnPairs& more) noexcept;
    // Within -1 to 1; nan where both sides are 0, 0 where one is.
    double cosine() const noexcept;
    double pearson() const noexcept;
    /// nan for fewer than two columns.
    double covariance() const noexcept;
};

/// A column counts where its matrix has rows and its sums are finite. With e = mean of x^2 and a = mean of x
/// (of x^2 where the sums of x are not known) per column:
struct EntryStats {
    std::string name;
    EntryName parts;
    bool has_sums = false;       ///< of x
    std::uint64_t elements = 0;  ///< columns that count; with none all numbers are 0
    double energy = 0;           ///< sum of e
    float mean = 0;              ///< of a
    float std_deviation = 0;     ///< of a, population
    float skewness = 0;
    float kurtosis = 0;  ///< excess
    float h_norm = 0;    ///< entropy of e, in percent of log2 elements
    // Beside the preceding entry; nan where nothing corresponds.
    float gain = 0;  ///< root mean e over its own
    float l2_dist = 0, cossim = 0, pearson = 0, covariance = 0;

    std::optional<std::size_t> preceding{};  ///< where MatrixStats has it
    bool lacks_preceding = false;            ///< of a block behind the first, and there is none
    std::optional<ColumnPairs> pairs{};      ///< where the columns of both correspond

    /// As kStatNames.
    std::array<float, 12> numbers() const noexcept;
};

/// The entry that precedes another is that of the same weight in the nearest earlier block that has it; the
/// first block, and the first of those that predict ahead, have none before them.
struct MatrixStats {
    std::vector<EntryStats> entries;   ///< of all entries, in their order
    std::optional<int> first_nextn{};  ///< the first block that predicts ahead
};

MatrixStats matrix_stats(const Matrix& matrix);

}  // namespace assay::imatrix
