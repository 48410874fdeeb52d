#include "stats/compare.h"

#include <numeric>

#include "stats/vectors.h"

namespace assay::stats {

namespace {

/// Mean squares of the matrices that both entries have data for, side by side.
struct Pair {
    std::vector<double> first, second;
};

Pair common_columns(const imatrix::Entry& a, const imatrix::Entry& b) {
    Pair pair;
    if (a.sum_sq.size() != b.sum_sq.size() || a.counts.size() != b.counts.size()) return pair;
    const std::uint64_t columns = a.columns_per_count();
    for (std::size_t m = 0; m < a.counts.size(); ++m) {
        if (a.counts[m] == 0 || b.counts[m] == 0) continue;
        for (std::size_t i = m * columns; i < (m + 1) * columns; ++i) {
            pair.first.push_back(a.sum_sq[i] / a.counts[m]);
            pair.second.push_back(b.sum_sq[i] / b.counts[m]);
        }
    }
    return pair;
}

Change change_of(const std::string& name, const Pair& pair) {
    Change change{name};
    change.cosine = cosine(pair.first, pair.second);
    change.rank_correlation = pearson(ranks(pair.first), ranks(pair.second));
    const double before = std::accumulate(pair.first.begin(), pair.first.end(), 0.0);
    const double after = std::accumulate(pair.second.begin(), pair.second.end(), 0.0);
    if (before > 0) change.energy_ratio = after / before;
    return change;
}

}  // namespace

Comparison compare(const imatrix::Matrix& first, const imatrix::Matrix& second) {
    Comparison result;
    for (const auto& [name, entry] : first.entries) {
        const auto other = second.entries.find(name);
        const Pair pair = other == second.entries.end() ? Pair{} : common_columns(entry, other->second);
        if (!pair.first.empty()) {
            result.changes.push_back(change_of(name, pair));
            continue;
        }
        result.only_first.push_back(name);
        if (other != second.entries.end()) result.only_second.push_back(name);
    }
    for (const auto& [name, entry] : second.entries)
        if (!first.entries.contains(name)) result.only_second.push_back(name);
    return result;
}

}  // namespace assay::stats
