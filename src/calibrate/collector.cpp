#include "calibrate/collector.h"

#include <algorithm>
#include <atomic>
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

/// Columns that are worth a thread: shorter runs of memory are read at half the speed.
constexpr std::size_t kLeastColumns = 2048;

/// Throws for the first chunk that holds something else than numbers.
void refuse_chunk(const engine::InputSums& sums) {
    const std::size_t per_chunk = sums.squares.size() / static_cast<std::size_t>(sums.n_chunks);
    for (std::int64_t chunk = 0; chunk < sums.n_chunks; ++chunk) {
        const auto at = static_cast<std::size_t>(chunk) * per_chunk;
        if (all_finite(sums.squares.subspan(at, per_chunk)) && all_finite(sums.plain.subspan(at, per_chunk)))
            continue;
        throw_error(
            ErrorKind::Numeric, sums.weights.front(),
            "its input holds NaN or infinity in chunk {}; the model file is broken or its architecture "
            "is not run as it was meant",
            sums.chunk + chunk + 1);
    }
}

void add(double* totals, std::span<const float> values) {
    for (std::size_t i = 0; i < values.size(); ++i) totals[i] += static_cast<double>(values[i]);
}

}  // namespace

imatrix::Entry Collector::start_of(const std::string& weight, const engine::InputSums& sums) const {
    const auto width = static_cast<std::uint64_t>(sums.width);
    const auto matrices = static_cast<std::uint64_t>(sums.n_matrices);
    const auto found = committed_.matrix.entries.find(weight);
    if (found == committed_.matrix.entries.end()) {
        imatrix::Entry entry;
        entry.width = width;
        entry.sum_sq.resize(width * matrices);
        entry.sum.resize(width * matrices);
        entry.counts.resize(matrices);
        return entry;
    }
    imatrix::Entry entry = found->second;
    if (entry.sum_sq.size() != width * matrices)
        throw_error(ErrorKind::Shape, weight, "inconsistent size for {} ({} vs {})", weight,
                    entry.sum_sq.size(), width * matrices);
    if (entry.counts.size() == 1 && matrices > 1) imatrix::expand_counts(entry, matrices, weight);
    if (entry.counts.size() != matrices)
        throw_error(ErrorKind::Shape, weight, "inconsistent expert count for {} ({} vs {})", weight,
                    entry.counts.size(), matrices);
    return entry;
}

std::vector<Collector::Shared*> Collector::touch(const engine::InputSums& sums) {
    std::vector<Shared*> all;
    for (const std::string& weight : sums.weights) {
        if (!shared_of_.contains(weight)) {
            imatrix::Entry start = start_of(weight, sums);
            const auto same = std::ranges::find_if(all, [&](const Shared* s) { return s->entry == start; });
            Shared& shared = same != all.end() ? **same : touched_.emplace_back(Shared{{}, std::move(start)});
            shared.weights.push_back(weight);
            shared_of_[weight] = &shared;
        }
        Shared* shared = shared_of_.at(weight);
        if (std::ranges::find(all, shared) == all.end()) all.push_back(shared);
    }
    return all;
}

void Collector::on_input(const engine::InputSums& sums) {
    const auto n_chunks = static_cast<std::size_t>(sums.n_chunks);
    const std::size_t per_chunk = sums.squares.size() / n_chunks;
    const std::size_t matrices = sums.counts.size() / n_chunks;
    const auto at = static_cast<std::size_t>(sums.first_matrix * sums.width);
    const std::vector<Shared*> touched = touch(sums);
    for (Shared* shared : touched)
        for (std::size_t i = 0; i < sums.counts.size(); ++i)
            shared->entry.counts[static_cast<std::size_t>(sums.first_matrix) + i % matrices] +=
                static_cast<std::uint64_t>(sums.counts[i]);
    // Each column is added chunk by chunk, whichever thread does it.
    std::atomic<bool> finite = true;
    const auto n_threads = static_cast<std::size_t>(threads_.size());
    const std::size_t columns = std::max(kLeastColumns, (per_chunk + n_threads - 1) / n_threads);
    threads_.run(static_cast<std::int64_t>((per_chunk + columns - 1) / columns),
                 [&](std::int64_t block, int) {
                     const std::size_t first = static_cast<std::size_t>(block) * columns;
                     const std::size_t count = std::min(columns, per_chunk - first);
                     for (std::size_t chunk = 0; chunk < n_chunks; ++chunk) {
                         const auto squares = sums.squares.subspan(chunk * per_chunk + first, count);
                         const auto plain = sums.plain.subspan(chunk * per_chunk + first, count);
                         if (!all_finite(squares) || !all_finite(plain)) finite = false;
                         for (Shared* shared : touched) {
                             imatrix::Entry& entry = shared->entry;
                             add(entry.sum_sq.data() + at + first, squares);
                             if (!entry.sum.empty()) add(entry.sum.data() + at + first, plain);
                         }
                     }
                 });
    if (!finite) refuse_chunk(sums);
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
    for (Shared& shared : touched_) {
        for (std::size_t i = 1; i < shared.weights.size(); ++i)
            committed_.matrix.entries.insert_or_assign(shared.weights[i], shared.entry);
        committed_.matrix.entries.insert_or_assign(shared.weights.front(), std::move(shared.entry));
    }
    committed_.chunk_losses.insert(committed_.chunk_losses.end(), wave_losses_.begin(), wave_losses_.end());
    committed_.similarity = touched_similarity_;
    abandon();
}

void Collector::abandon() {
    touched_.clear();
    shared_of_.clear();
    wave_losses_.clear();
    touched_similarity_ = committed_.similarity;
}

}  // namespace assay::calibrate
