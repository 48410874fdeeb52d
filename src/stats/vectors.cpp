#include "stats/vectors.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace assay::stats {

namespace {

/// Calls body(column, count) for every column that has data.
template <typename Body> void for_each_column(const imatrix::Entry& entry, Body&& body) {
    const std::uint64_t columns = entry.columns_per_count();
    for (std::size_t m = 0; m < entry.counts.size(); ++m) {
        if (entry.counts[m] == 0) continue;
        for (std::uint64_t j = 0; j < columns; ++j) body(m * columns + j, entry.counts[m]);
    }
}

double mean_of(std::span<const double> values) {
    return values.empty()
               ? 0.0
               : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<float> mean_squares(const imatrix::Entry& entry) {
    std::vector<float> values;
    values.reserve(entry.sum_sq.size());
    for_each_column(entry, [&](std::uint64_t column, double count) {
        values.push_back(static_cast<float>(entry.sum_sq[column]) / static_cast<float>(count));
    });
    return values;
}

std::vector<double> means(const imatrix::Entry& entry) {
    std::vector<double> values;
    if (entry.sum.empty()) return values;
    values.reserve(entry.sum.size());
    for_each_column(entry,
                    [&](std::uint64_t column, double count) { values.push_back(entry.sum[column] / count); });
    return values;
}

double cosine(std::span<const double> a, std::span<const double> b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? ab / (std::sqrt(aa) * std::sqrt(bb)) : 0.0;
}

double covariance(std::span<const double> a, std::span<const double> b) {
    const double mean_a = mean_of(a), mean_b = mean_of(b);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
    return a.empty() ? 0.0 : sum / static_cast<double>(a.size());
}

double pearson(std::span<const double> a, std::span<const double> b) {
    const double variance_a = covariance(a, a), variance_b = covariance(b, b);
    return variance_a > 0 && variance_b > 0
               ? covariance(a, b) / (std::sqrt(variance_a) * std::sqrt(variance_b))
               : 0.0;
}

std::vector<double> ranks(std::span<const double> values) {
    std::vector<std::uint32_t> order(values.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
    std::vector<double> result(values.size());
    for (std::size_t first = 0; first < order.size();) {
        std::size_t last = first;
        while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
        const double shared = 1.0 + 0.5 * static_cast<double>(first + last);
        for (; first <= last; ++first) result[order[first]] = shared;
    }
    return result;
}

}  // namespace assay::stats
