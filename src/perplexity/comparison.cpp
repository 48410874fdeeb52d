#include "perplexity/comparison.h"

#include <algorithm>
#include <cmath>

namespace assay::perplexity {

namespace {

/// The value below which this share of sorted values lies.
double quantile(const std::vector<float>& sorted, double share) {
    const double rank = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const double part = rank - static_cast<double>(below);
    const auto low = static_cast<double>(sorted[below]);
    const auto high = static_cast<double>(sorted[std::min(below + 1, sorted.size() - 1)]);
    return low + part * (high - low);
}

/// Of the second's values less the first's.
Measured mean_difference(const std::vector<float>& first, const std::vector<float>& second) {
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 0; i < first.size(); ++i) {
        const double d = static_cast<double>(second[i]) - static_cast<double>(first[i]);
        sum += d;
        squares += d * d;
    }
    return mean_of(sum, squares, static_cast<double>(first.size()));
}

}  // namespace

Quantiles quantiles_of(std::vector<float> values) {
    std::ranges::sort(values);
    return {quantile(values, 0.5),  quantile(values, 0.9),   quantile(values, 0.95),
            quantile(values, 0.99), quantile(values, 0.999), static_cast<double>(values.back())};
}

void FilePositions::add_chunk(const std::vector<ScoredPosition>& chunk) {
    ChunkSums sums;
    for (const ScoredPosition& position : chunk) {
        sums.paired.add(position.base_loss, position.loss, position.divergence);
        sums.same_top += position.same_top ? 1 : 0;
        const double change = std::exp(-position.loss) - std::exp(-position.base_loss);
        sums.change += change;
        sums.change_squared += change * change;
        sums.change_fourth += change * change * change * change;
        divergences_.push_back(static_cast<float>(position.divergence));
        loss_changes_.push_back(static_cast<float>(position.loss - position.base_loss));
    }
    chunks_.push_back(sums);
}

void FilePositions::keep_chunks(std::int64_t n_chunks) {
    chunks_.resize(std::min(chunks_.size(), static_cast<std::size_t>(n_chunks)));
    std::size_t positions = 0;
    for (const ChunkSums& chunk : chunks_) positions += chunk.paired.count;
    divergences_.resize(positions);
    loss_changes_.resize(positions);
}

FilePositions::ChunkSums FilePositions::total() const {
    ChunkSums total;
    for (const ChunkSums& chunk : chunks_) {
        total.paired.merge(chunk.paired);
        total.same_top += chunk.same_top;
        total.change += chunk.change;
        total.change_squared += chunk.change_squared;
        total.change_fourth += chunk.change_fourth;
    }
    return total;
}

Measured FilePositions::base_perplexity() const { return total().paired.reference_perplexity(); }

ComparedFile FilePositions::compare() const {
    const ChunkSums sums = total();
    const PairedSums& paired = sums.paired;
    const auto n = static_cast<double>(count());
    ComparedFile file;
    const Measured loss =
        mean_of(paired.reference + paired.difference,
                paired.reference_squared + 2 * paired.product + paired.difference_squared, n);
    file.perplexity = {std::exp(loss.value), std::exp(loss.value) * loss.error};
    file.log_ratio = mean_of(paired.difference, paired.difference_squared, n);
    file.divergence = paired.mean_divergence();
    file.divergences = quantiles_of(divergences_);
    file.probability_change = mean_of(sums.change, sums.change_squared, n);
    const Measured square = mean_of(sums.change_squared, sums.change_fourth, n);
    const double root = std::sqrt(square.value);
    file.probability_change_rms = {root, root > 0 ? square.error / (2 * root) : 0};
    const auto same = static_cast<double>(sums.same_top);
    file.same_top = mean_of(same, same, n);
    return file;
}

ComparedPair FilePositions::compare(const FilePositions& first, const FilePositions& second) {
    return {0, 0, mean_difference(first.loss_changes_, second.loss_changes_),
            mean_difference(first.divergences_, second.divergences_)};
}

}  // namespace assay::perplexity
