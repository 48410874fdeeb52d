#include "stats/activation.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <tuple>

#include "stats/vectors.h"

namespace assay::stats {

namespace {

/// The two vectors of one weight: what its moments are taken of, and the energy.
struct Vectors {
    std::vector<double> m;
    std::vector<double> energy;
    double total_energy() const {
        double total = 0;
        for (const double value : energy) total += value;
        return total;
    }
};

Vectors vectors_of(const imatrix::Entry& entry) {
    const std::vector<float> squares = mean_squares(entry);
    Vectors v{means(entry), {squares.begin(), squares.end()}};
    if (v.m.empty()) v.m = v.energy;
    return v;
}

void add_moments(const std::vector<double>& m, ActivationStats& stats) {
    const auto n = static_cast<double>(m.size());
    for (const double value : m) stats.mean += value / n;
    double second = 0, third = 0, fourth = 0;
    for (const double value : m) {
        const double d = value - stats.mean;
        second += d * d / n;
        third += d * d * d / n;
        fourth += d * d * d * d / n;
    }
    stats.stddev = std::sqrt(second);
    if (second > 0) {
        stats.skewness = third / (second * stats.stddev);
        stats.kurtosis = fourth / (second * second) - 3;
    }
}

double normalised_entropy(const std::vector<double>& energy, double total) {
    if (total <= 0 || energy.size() < 2) return 0;
    double bits = 0;
    for (const double value : energy)
        if (const double p = value / total; p > 0) bits -= p * std::log2(p);
    return 100 * bits / std::log2(static_cast<double>(energy.size()));
}

void relate(const Vectors& here, const imatrix::Entry& previous, ActivationStats& stats) {
    const Vectors there = vectors_of(previous);
    if (there.m.size() != here.m.size() || previous.sum.empty() == stats.has_sums) return;
    if (const double before = there.total_energy(); before > 0) stats.gain = std::sqrt(stats.energy / before);
    if (stats.has_sums) {
        double squares = 0;
        for (std::size_t i = 0; i < here.m.size(); ++i) squares += std::pow(here.m[i] - there.m[i], 2);
        stats.l2_distance = std::sqrt(squares);
    }
    stats.pearson = pearson(here.m, there.m);
    stats.covariance = covariance(here.m, there.m);
}

}  // namespace

std::vector<ActivationStats> activation_stats(const imatrix::Matrix& matrix) {
    std::vector<ActivationStats> all;
    for (const auto& [name, entry] : matrix.entries) {
        const Vectors here = vectors_of(entry);
        if (here.m.empty()) continue;
        ActivationStats& stats = all.emplace_back();
        stats.name = name;
        stats.parts = split_name(name);
        stats.has_sums = !entry.sum.empty();
        stats.energy = here.total_energy();
        stats.entropy_norm = normalised_entropy(here.energy, stats.energy);
        add_moments(here.m, stats);
        // Experts without data leave holes; the columns of two blocks correspond only without them.
        const auto previous_name = name_in_previous_block(name);
        const auto previous = previous_name ? matrix.entries.find(*previous_name) : matrix.entries.end();
        if (previous != matrix.entries.end() && entry.n_missing() == 0 && previous->second.n_missing() == 0)
            relate(here, previous->second, stats);
    }
    std::stable_sort(all.begin(), all.end(), [](const ActivationStats& x, const ActivationStats& y) {
        return x.parts.block.value_or(INT_MAX) < y.parts.block.value_or(INT_MAX);
    });
    return all;
}

}  // namespace assay::stats
