#include "stats/tensor_stats.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <tuple>

#include "stats/vectors.h"

namespace assay::stats {

namespace {

constexpr float kInactive = 1e-5f;

float dot(const std::vector<double>& a, const std::vector<double>& b) {
    float sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<float>(a[i]) * static_cast<float>(b[i]);
    return sum;
}

float raw_cosine(const imatrix::Matrix& matrix, const std::string& name, const imatrix::Entry& entry) {
    const auto previous_name = name_in_previous_block(name);
    if (!previous_name) return 0;
    const auto previous = matrix.entries.find(*previous_name);
    if (previous == matrix.entries.end() || previous->second.sum_sq.size() != entry.sum_sq.size()) return 0;
    const float here = std::sqrt(dot(entry.sum_sq, entry.sum_sq));
    const float there = std::sqrt(dot(previous->second.sum_sq, previous->second.sum_sq));
    const float both = dot(entry.sum_sq, previous->second.sum_sq);
    return here > 0 && there > 0 ? both / (here * there) : 0;
}

void describe(std::span<const float> a, TensorStats& stats) {
    float squares = 0;
    stats.min = stats.max = a[0];
    std::uint64_t inactive = 0;
    for (const float value : a) {
        stats.energy += value;
        squares += value * value;
        stats.min = std::min(stats.min, value);
        stats.max = std::max(stats.max, value);
        if (std::abs(value) <= kInactive) ++inactive;
    }
    const auto n = static_cast<float>(a.size());
    stats.n = a.size();
    stats.mean = stats.energy / n;
    stats.stddev = std::sqrt(std::max(0.0f, squares / n - stats.mean * stats.mean));
    stats.active = 1 - static_cast<float>(inactive) / n;
    std::uint64_t high = 0;
    for (const float value : a) {
        if (const float p = value / stats.energy; stats.energy > 0 && p > 0)
            stats.entropy -= p * std::log2(p);
        if (stats.stddev > 0 && (value - stats.mean) / stats.stddev > 1) ++high;
    }
    stats.zd = static_cast<float>(high) / n;
    if (a.size() > 1) stats.entropy_norm = 100 * (stats.entropy / std::log2(n));
}

}  // namespace

std::vector<TensorStats> tensor_stats(const imatrix::Matrix& matrix, imatrix::Notes& notes) {
    std::vector<TensorStats> all;
    for (const auto& [name, entry] : matrix.entries) {
        const std::vector<float> a = mean_squares(entry);
        if (a.empty()) {
            notes.push_back(
                fmt::format("all counts are zero for tensor {}, skipping statistics computation", name));
            continue;
        }
        TensorStats& stats = all.emplace_back();
        stats.name = name;
        stats.parts = split_name(name);
        describe(a, stats);
        stats.cos_sim = raw_cosine(matrix, name, entry);
    }
    std::stable_sort(all.begin(), all.end(), [](const TensorStats& x, const TensorStats& y) {
        return std::tie(x.parts.tensor, y.energy) < std::tie(y.parts.tensor, x.energy);
    });
    return all;
}

std::vector<LayerStats> layer_stats(std::span<const TensorStats> tensors) {
    struct Sums {
        float n = 0, energy = 0, zd = 0, cos_sim = 0;
    };
    std::map<int, Sums> layers;
    for (const TensorStats& tensor : tensors) {
        if (!tensor.parts.block) continue;
        Sums& sums = layers[*tensor.parts.block];
        const auto n = static_cast<float>(tensor.n);
        sums.n += n;
        sums.energy += n * tensor.energy;
        sums.zd += n * tensor.zd;
        sums.cos_sim += n * tensor.cos_sim;
    }
    std::vector<LayerStats> result;
    for (const auto& [layer, sums] : layers)
        result.push_back({layer, sums.energy / sums.n, sums.zd / sums.n, sums.cos_sim / sums.n});
    return result;
}

}  // namespace assay::stats
