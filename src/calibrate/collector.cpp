#include "calibrate/collector.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace assay::calibrate {

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
    const std::size_t matrices = sums.counts.size() / static_cast<std::size_t>(sums.n_chunks);
    const auto first = static_cast<std::size_t>(sums.first_matrix);
    const auto width = static_cast<std::size_t>(sums.width);
    for (Shared* shared : touch(sums)) {
        imatrix::Entry& entry = shared->entry;
        for (std::size_t i = 0; i < sums.counts.size(); ++i)
            entry.counts[first + i % matrices] += static_cast<std::uint64_t>(sums.counts[i]);
        backend::Totals totals;
        totals.squares = std::span(entry.sum_sq).subspan(first * width, matrices * width);
        if (!entry.sum.empty()) totals.plain = std::span(entry.sum).subspan(first * width, matrices * width);
        if (const std::optional<std::int64_t> chunk = sums.add_to(totals))
            throw_error(ErrorKind::Numeric, sums.weights.front(),
                        "its input holds NaN or infinity in chunk {}", sums.chunk + *chunk + 1);
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
    for (const double loss : losses.losses) {
        if (!std::isfinite(loss))
            throw_error(ErrorKind::Numeric, "perplexity",
                        "is not a number in chunk {}, while the inputs of all layers are finite",
                        losses.chunk + 1);
        sums.add(loss);
    }
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
