#include "stats/distribution.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assay::stats {

namespace {

double quantile(const std::vector<double>& sorted, double q) {
    const double position = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

/// Every column that has data.
std::vector<Outlier> columns_of(const imatrix::Entry& entry) {
    std::vector<Outlier> columns;
    const std::uint64_t width = entry.columns_per_count();
    for (std::uint64_t m = 0; m < entry.counts.size(); ++m) {
        if (entry.counts[m] == 0) continue;
        for (std::uint64_t j = 0; j < width; ++j)
            columns.push_back({m, j, entry.sum_sq[m * width + j] / entry.counts[m]});
    }
    return columns;
}

Distribution describe(const std::string& name, std::vector<Outlier> columns, const OutlierRule& rule) {
    Distribution result;
    result.name = name;
    std::vector<double> sorted;
    for (const Outlier& column : columns) sorted.push_back(column.mean_square);
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) result.quantiles[i] = quantile(sorted, kQuantiles[i]);
    const double total = std::accumulate(sorted.begin(), sorted.end(), 0.0);
    const double median = quantile(sorted, 0.5);
    const std::size_t n = std::min(rule.n_outliers, columns.size());
    std::partial_sort(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(n), columns.end(),
                      [](const Outlier& a, const Outlier& b) { return a.mean_square > b.mean_square; });
    for (std::size_t i = 0; i < n && columns[i].mean_square > rule.times_median * median; ++i) {
        Outlier& outlier = result.outliers.emplace_back(columns[i]);
        if (median > 0) outlier.times_median = outlier.mean_square / median;
        if (total > 0) outlier.share = outlier.mean_square / total;
    }
    return result;
}

}  // namespace

std::vector<Distribution> distributions(const imatrix::Matrix& matrix, const OutlierRule& rule) {
    std::vector<Distribution> result;
    for (const auto& [name, entry] : matrix.entries)
        if (auto columns = columns_of(entry); !columns.empty())
            result.push_back(describe(name, std::move(columns), rule));
    return result;
}

}  // namespace assay::stats
