#include "stats/activation.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <map>
#include <string>
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

/// The relations of two vectors of columns, for a weight or for a whole block.
template <class Stats> void relate(const Vectors& here, const Vectors& there, bool has_sums, Stats& stats) {
    if (const double before = there.total_energy(); before > 0)
        stats.gain = std::sqrt(here.total_energy() / before);
    if (has_sums) {
        double squares = 0;
        for (std::size_t i = 0; i < here.m.size(); ++i) squares += std::pow(here.m[i] - there.m[i], 2);
        stats.l2_distance = std::sqrt(squares);
    }
    stats.cosine = cosine(here.m, there.m);
    stats.pearson = pearson(here.m, there.m);
    stats.covariance = covariance(here.m, there.m);
}

/// The same weight in the previous block, where its columns correspond. Experts without data leave holes; the
/// columns of two blocks correspond only without them.
const imatrix::Entry* previous_of(const imatrix::Matrix& matrix, const std::string& name,
                                  const imatrix::Entry& entry) {
    const auto previous_name = name_in_previous_block(name);
    const auto found = previous_name ? matrix.entries.find(*previous_name) : matrix.entries.end();
    if (found == matrix.entries.end() || entry.n_missing() != 0) return nullptr;
    const imatrix::Entry& previous = found->second;
    const bool alike = previous.n_missing() == 0 && previous.sum.empty() == entry.sum.empty() &&
                       previous.sum_sq.size() == entry.sum_sq.size();
    return alike ? &previous : nullptr;
}

void append(Vectors& all, const Vectors& more) {
    all.m.insert(all.m.end(), more.m.begin(), more.m.end());
    all.energy.insert(all.energy.end(), more.energy.begin(), more.energy.end());
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
        if (const imatrix::Entry* previous = previous_of(matrix, name, entry))
            relate(here, vectors_of(*previous), stats.has_sums, stats);
    }
    std::stable_sort(all.begin(), all.end(), [](const ActivationStats& x, const ActivationStats& y) {
        return x.parts.block.value_or(INT_MAX) < y.parts.block.value_or(INT_MAX);
    });
    return all;
}

std::vector<ActivationLayer> activation_layers(const imatrix::Matrix& matrix) {
    const bool has_sums = std::any_of(matrix.entries.begin(), matrix.entries.end(),
                                      [](const auto& item) { return !item.second.sum.empty(); });
    struct Blocks {
        double energy = 0;
        Vectors here, there;
    };
    std::map<int, Blocks> blocks;
    for (const auto& [name, entry] : matrix.entries) {
        const auto block = split_name(name).block;
        const Vectors here = vectors_of(entry);
        if (!block || here.m.empty()) continue;
        Blocks& all = blocks[*block];
        all.energy += here.total_energy();
        const imatrix::Entry* previous = previous_of(matrix, name, entry);
        if (previous == nullptr || entry.sum.empty() == has_sums) continue;
        append(all.here, here);
        append(all.there, vectors_of(*previous));
    }
    std::vector<ActivationLayer> layers;
    for (const auto& [block, all] : blocks) {
        ActivationLayer& layer = layers.emplace_back();
        layer.layer = block;
        layer.energy = all.energy;
        if (!all.here.m.empty()) relate(all.here, all.there, has_sums, layer);
    }
    return layers;
}

}  // namespace assay::stats
