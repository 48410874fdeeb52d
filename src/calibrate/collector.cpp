#include "calibrate/collector.h"

#include <bit>
#include <utility>

#include "core/error.h"

namespace assay::calibrate {

namespace {

/// Whether all are numbers, without a branch for each.
bool all_finite(std::span<const float> values) {
    constexpr std::uint32_t kExponent = 0x7f800000;
    bool finite = true;
    for (const float value : values) finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
    return finite;
}

void check_finite(std::span<const float> values, const std::string& weight, std::int64_t chunk) {
    if (!all_finite(values))
        throw_error(
            ErrorKind::Numeric, weight,
            "its input holds NaN or infinity in chunk {}; the model file is broken or its architecture "
            "is not run as it was meant",
            chunk + 1);
}

void add(std::vector<double>& totals, std::span<const float> values, std::size_t at) {
    for (std::size_t i = 0; i < values.size(); ++i) totals[at + i] += static_cast<double>(values[i]);
}

}  // namespace

imatrix::Entry& Collector::touch(const std::string& weight, const engine::InputSums& sums) {
    const auto [it, fresh] = touched_.try_emplace(weight);
    imatrix::Entry& entry = it->second;
    if (!fresh) return entry;
    const auto width = static_cast<std::uint64_t>(sums.width);
    const auto matrices = static_cast<std::uint64_t>(sums.n_matrices);
    const auto found = committed_.matrix.entries.find(weight);
    if (found == committed_.matrix.entries.end()) {
        entry.width = width;
        entry.sum_sq.resize(width * matrices);
        entry.sum.resize(width * matrices);
        entry.counts.resize(matrices);
        return entry;
    }
    entry = found->second;
    if (entry.sum_sq.size() != width * matrices)
        throw_error(ErrorKind::Shape, weight, "inconsistent size for {} ({} vs {})", weight,
                    entry.sum_sq.size(), width * matrices);
    if (entry.counts.size() == 1 && matrices > 1) imatrix::expand_counts(entry, matrices, weight);
    if (entry.counts.size() != matrices)
        throw_error(ErrorKind::Shape, weight, "inconsistent expert count for {} ({} vs {})", weight,
                    entry.counts.size(), matrices);
    return entry;
}

void Collector::on_input(const engine::InputSums& sums) {
    check_finite(sums.squares, sums.weights.front(), sums.chunk);
    check_finite(sums.plain, sums.weights.front(), sums.chunk);
    const auto at = static_cast<std::size_t>(sums.first_matrix * sums.width);
    for (const std::string& weight : sums.weights) {
        imatrix::Entry& entry = touch(weight, sums);
        add(entry.sum_sq, sums.squares, at);
        if (!entry.sum.empty()) add(entry.sum, sums.plain, at);
        for (std::size_t i = 0; i < sums.counts.size(); ++i)
            entry.counts[static_cast<std::size_t>(sums.first_matrix) + i] +=
                static_cast<std::uint64_t>(sums.counts[i]);
    }
}

void Collector::on_similarity(const engine::SimilaritySums& sums) {
    using similarity::Kind;
    Kind kind{};
    switch (sums.kind) {
        case engine::Similarity::LayerInput: kind = Kind::Layer; break;
        case engine::Similarity::Attention: kind = Kind::Attention; break;
        case engine::Similarity::Ffn: kind = Kind::Ffn; break;
        case engine::Similarity::Residual: kind = Kind::Residual; break;
        case engine::Similarity::ResidualAttention: kind = Kind::ResidualAttention; break;
        case engine::Similarity::ResidualFfn: kind = Kind::ResidualFfn; break;
    }
    touched_similarity_.add(kind, static_cast<int>(sums.layer),
                            {sums.cosine, sums.relative_change, static_cast<std::uint64_t>(sums.rows)});
}

void Collector::on_losses(const engine::ChunkLosses& losses) {
    perplexity::Sums sums;
    for (const double loss : losses.losses) sums.add(loss);
    wave_losses_.push_back(sums);
}

void Collector::commit() {
    for (auto& [weight, entry] : touched_)
        committed_.matrix.entries.insert_or_assign(weight, std::move(entry));
    committed_.chunk_losses.insert(committed_.chunk_losses.end(), wave_losses_.begin(), wave_losses_.end());
    committed_.similarity = touched_similarity_;
    abandon();
}

void Collector::abandon() {
    touched_.clear();
    wave_losses_.clear();
    touched_similarity_ = committed_.similarity;
}

}  // namespace assay::calibrate
