#include "imatrix/entry_stats.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace assay::imatrix {

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kLeastShare = 1e-10;  // smaller ones add nothing to the entropy
constexpr float kLeastDeviation = 1e-10f;

/// Calls body(e, a) for every column that counts.
template <typename Body> void for_each_column(const Entry& entry, Body&& body) {
    const std::uint64_t columns = entry.columns_per_count();
    for (std::size_t m = 0; m < entry.counts.size(); ++m) {
        if (entry.counts[m] == 0) continue;
        const double scale{1.0f / static_cast<float>(entry.counts[m])};
        for (std::uint64_t i = m * columns; i < (m + 1) * columns; ++i) {
            const double e = double{static_cast<float>(entry.sum_sq[i])} * scale;
            const double a = entry.sum.empty() ? e : double{static_cast<float>(entry.sum[i])} * scale;
            if (std::isfinite(e) && std::isfinite(a)) body(e, a);
        }
    }
}

double correlation(double xy, double xx, double yy) {
    if (xx == 0 && yy == 0) return kNan;
    if (xx == 0 || yy == 0) return 0;
    return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

float normalised_entropy(const Entry& entry, std::uint64_t n) {
    if (n <= 1) return kNan;
    double total = 0, bits = 0;
    for_each_column(entry, [&](double e, double) { total += std::max(0.0, e); });
    for_each_column(entry, [&](double e, double) {
        if (const double p = std::max(0.0, e) / total; p > kLeastShare) bits -= p * std::log2(p);
    });
    return 100.0f * static_cast<float>(bits) / std::log2(static_cast<float>(n));
}

/// All but what the preceding entry gives.
void describe(const Entry& entry, EntryStats& stats) {
    double mean = 0;
    for_each_column(entry, [&](double e, double a) {
        stats.energy += e;
        mean += (a - mean) / static_cast<double>(++stats.elements);
    });
    if (stats.elements == 0) return;
    double second = 0, third = 0, fourth = 0;
    for_each_column(entry, [&](double, double a) {
        const double d = a - mean;
        second += d * d;
        third += d * d * d;
        fourth += d * d * d * d;
    });
    const auto n = static_cast<double>(stats.elements);
    const double variance = second / n;
    stats.mean = static_cast<float>(mean);
    if (stats.elements > 1) stats.std_deviation = std::sqrt(static_cast<float>(variance));
    if (stats.std_deviation > kLeastDeviation) {
        stats.skewness = static_cast<float>(third / n / (variance * std::sqrt(variance)));
        stats.kurtosis = static_cast<float>(fourth / n / (variance * variance) - 3);
    }
    stats.h_norm = normalised_entropy(entry, stats.elements);
    stats.gain = stats.l2_dist = stats.cossim = stats.pearson = stats.covariance = kNan;
}

/// The means of all columns, nan where there are no rows.
std::vector<float> column_means(const Entry& entry, const std::vector<double>& sums) {
    std::vector<float> means;
    means.reserve(sums.size());
    const std::uint64_t columns = entry.columns_per_count();
    for (std::size_t m = 0; m < entry.counts.size(); ++m) {
        const float scale = entry.counts[m] == 0 ? kNan : 1.0f / static_cast<float>(entry.counts[m]);
        for (std::uint64_t i = m * columns; i < (m + 1) * columns; ++i)
            means.push_back(static_cast<float>(sums[i]) * scale);
    }
    return means;
}

ColumnPairs pair_columns(const Entry& here, const Entry& before) {
    const bool plain = !here.sum.empty() && !before.sum.empty();
    const std::vector<float> x = column_means(here, plain ? here.sum : here.sum_sq);
    const std::vector<float> y = column_means(before, plain ? before.sum : before.sum_sq);
    const auto for_each_pair = [&](auto&& body) {
        for (std::size_t i = 0; i < x.size(); ++i)
            if (std::isfinite(x[i]) && std::isfinite(y[i])) body(double{x[i]}, double{y[i]});
    };
    ColumnPairs pairs;
    double sum_x = 0, sum_y = 0;
    for_each_pair([&](double a, double b) {
        ++pairs.n;
        sum_x += a;
        sum_y += b;
        pairs.xx += a * a;
        pairs.yy += b * b;
        pairs.xy += a * b;
        pairs.distance_sq += (a - b) * (a - b);
    });
    const auto n = static_cast<double>(std::max<std::uint64_t>(pairs.n, 1));
    const double mean_x = sum_x / n, mean_y = sum_y / n;
    for_each_pair([&](double a, double b) {
        pairs.centred_xx += (a - mean_x) * (a - mean_x);
        pairs.centred_yy += (b - mean_y) * (b - mean_y);
        pairs.centred_xy += (a - mean_x) * (b - mean_y);
    });
    return pairs;
}

void compare(const Entry& here, const Entry& before, const EntryStats& earlier, EntryStats& stats) {
    if (here.sum_sq.size() != before.sum_sq.size()) return;
    if (earlier.energy > kNoEnergy)
        stats.gain = static_cast<float>(std::sqrt(stats.energy / static_cast<double>(stats.elements)) /
                                        std::sqrt(earlier.energy / static_cast<double>(earlier.elements)));
    else if (stats.energy <= kNoEnergy)
        stats.gain = 1;
    const ColumnPairs& pairs = stats.pairs.emplace(pair_columns(here, before));
    stats.l2_dist = static_cast<float>(std::sqrt(pairs.distance_sq));
    stats.cossim = static_cast<float>(pairs.cosine());
    stats.pearson = static_cast<float>(pairs.pearson());
    stats.covariance = static_cast<float>(pairs.covariance());
}

std::optional<int> first_nextn_block(const Matrix& matrix, const std::vector<EntryStats>& entries) {
    std::optional<int> last, named;
    for (const EntryStats& entry : entries) {
        if (!entry.parts.block || entry.elements == 0) continue;
        const int block = *entry.parts.block;
        last = std::max(last.value_or(block), block);
        if (entry.parts.short_name.starts_with("nextn.")) named = std::min(named.value_or(block), block);
    }
    if (matrix.n_layer_nextn == 0 || !last) return named;
    const std::int64_t first = std::int64_t{*last} + 1 - std::int64_t{matrix.n_layer_nextn};
    return static_cast<int>(std::max<std::int64_t>(0, first));
}

/// Sets `preceding` of all.
void find_preceding(MatrixStats& stats) {
    std::map<std::string, std::map<int, std::size_t>, std::less<>> weights;  // by block
    for (std::size_t i = 0; i < stats.entries.size(); ++i)
        if (const EntryStats& entry = stats.entries[i]; entry.parts.block && entry.elements > 0)
            weights[entry.parts.without_block].emplace(*entry.parts.block, i);
    for (EntryStats& entry : stats.entries) {
        if (!entry.parts.block || entry.elements == 0) continue;
        const int block = *entry.parts.block;
        if (block == 0 || block == stats.first_nextn) continue;
        const int least = stats.first_nextn && block > *stats.first_nextn ? *stats.first_nextn : 0;
        const auto& blocks = weights.find(entry.parts.without_block)->second;
        const auto here = blocks.lower_bound(block);
        if (here != blocks.begin() && std::prev(here)->first >= least)
            entry.preceding = std::prev(here)->second;
        else
            entry.lacks_preceding = true;
    }
}

}  // namespace

void ColumnPairs::add(const ColumnPairs& more) noexcept {
    n += more.n;
    xx += more.xx;
    yy += more.yy;
    xy += more.xy;
    distance_sq += more.distance_sq;
    centred_xx += more.centred_xx;
    centred_yy += more.centred_yy;
    centred_xy += more.centred_xy;
}

double ColumnPairs::cosine() const noexcept { return correlation(xy, xx, yy); }

double ColumnPairs::pearson() const noexcept { return correlation(centred_xy, centred_xx, centred_yy); }

double ColumnPairs::covariance() const noexcept { return n > 1 ? centred_xy / static_cast<double>(n) : kNan; }

std::array<float, 12> EntryStats::numbers() const noexcept {
    return {static_cast<float>(energy),
            mean,
            static_cast<float>(elements),
            std_deviation,
            skewness,
            kurtosis,
            gain,
            h_norm,
            l2_dist,
            cossim,
            pearson,
            covariance};
}

MatrixStats matrix_stats(const Matrix& matrix) {
    MatrixStats stats;
    std::vector<const Entry*> entries;
    for (const auto& [name, entry] : matrix.entries) {
        entries.push_back(&entry);
        EntryStats& of = stats.entries.emplace_back();
        of.name = name;
        of.parts = parse_entry_name(name);
        of.has_sums = !entry.sum.empty();
        describe(entry, of);
    }
    stats.first_nextn = first_nextn_block(matrix, stats.entries);
    find_preceding(stats);
    for (std::size_t i = 0; i < entries.size(); ++i)
        if (const auto before = stats.entries[i].preceding)
            compare(*entries[i], *entries[*before], stats.entries[*before], stats.entries[i]);
    return stats;
}

}  // namespace assay::imatrix
