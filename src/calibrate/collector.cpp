#include "calibrate/collector.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "core/error.h"
#include "engine/not_finite.h"

namespace assay::calibrate {

namespace {

/// The sums of all occurrences, in their order.
imatrix::Entry together(const std::vector<imatrix::Entry>& occurrences) {
    imatrix::Entry all = occurrences.front();
    for (std::size_t o = 1; o < occurrences.size(); ++o) {
        const imatrix::Entry& next = occurrences[o];
        std::ranges::transform(all.sum_sq, next.sum_sq, all.sum_sq.begin(), std::plus());
        if (!all.sum.empty()) std::ranges::transform(all.sum, next.sum, all.sum.begin(), std::plus());
        std::ranges::transform(all.counts, next.counts, all.counts.begin(), std::plus());
    }
    return all;
}

}  // namespace

Collector::Collector(imatrix::Matrix start, Stacks stacks) : stacks_(std::move(stacks)) {
    committed_.matrix = std::move(start);
    for (const auto& [weight, n_heads] : stacks_)
        if (const auto found = committed_.matrix.entries.find(weight);
            found != committed_.matrix.entries.end())
            stacks_before_[weight] = std::move(committed_.matrix.entries.extract(found).mapped());
}

imatrix::Entry Collector::start_of(const std::string& weight, const engine::InputSums& sums) const {
    const auto width = static_cast<std::uint64_t>(sums.width);
    const auto matrices = static_cast<std::uint64_t>(sums.n_matrices);
    const auto occurrence = static_cast<std::size_t>(sums.occurrence);
    const auto apart = occurrences_.find(weight);
    if (apart != occurrences_.end() && occurrence < apart->second.size()) return apart->second[occurrence];
    const auto found = committed_.matrix.entries.find(weight);
    if (found == committed_.matrix.entries.end() || occurrence > 0 || stacks_.contains(weight)) {
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
    std::vector<Shared*> fresh;
    for (const std::string& weight : sums.weights) {
        Shared*& shared = shared_of_[{weight, sums.occurrence}];
        if (shared == nullptr) {
            imatrix::Entry start = start_of(weight, sums);
            const auto same = std::ranges::find_if(fresh, [&](const Shared* s) { return s->entry == start; });
            if (same != fresh.end()) {
                shared = *same;
            } else {
                shared = &touched_.emplace_back(Shared{{}, sums.occurrence, std::move(start)});
                fresh.push_back(shared);
            }
            shared->weights.push_back(weight);
        }
        if (std::ranges::find(all, shared) == all.end()) all.push_back(shared);
    }
    return all;
}

std::vector<backend::Totals> Collector::on_input(const engine::InputSums& sums) {
    const std::size_t matrices = sums.counts.size() / static_cast<std::size_t>(sums.n_chunks);
    const auto first = static_cast<std::size_t>(sums.first_matrix);
    const auto width = static_cast<std::size_t>(sums.width);
    const std::lock_guard lock(mutex_);
    std::vector<backend::Totals> places;
    for (Shared* shared : touch(sums)) {
        imatrix::Entry& entry = shared->entry;
        for (std::size_t i = 0; i < sums.counts.size(); ++i)
            entry.counts[first + i % matrices] += static_cast<std::uint64_t>(sums.counts[i]);
        backend::Totals& totals = places.emplace_back();
        totals.squares = std::span(entry.sum_sq).subspan(first * width, matrices * width);
        if (!entry.sum.empty()) totals.plain = std::span(entry.sum).subspan(first * width, matrices * width);
    }
    return places;
}

void Collector::on_similarity(const engine::SimilaritySums& sums) {
    if (!std::isfinite(sums.cosine) || !std::isfinite(sums.relative_change))
        throw engine::NotFinite(sums.chunk, "similarity", "is not a number",
                                fmt::format(", layer {}", sums.layer));
    const std::lock_guard lock(mutex_);
    touched_similarity_.add(sums.kind, static_cast<int>(sums.layer),
                            {sums.cosine, sums.relative_change, static_cast<std::uint64_t>(sums.rows)});
}

void Collector::on_losses(const engine::ChunkLosses& losses) {
    perplexity::Sums sums;
    for (std::size_t i = 0; i < losses.losses.size(); ++i) {
        if (!std::isfinite(losses.losses[i]))
            throw engine::NotFinite(
                losses.chunk, "perplexity", "is not a number",
                fmt::format(", at the {}. of its {} tokens that are scored, while the inputs of all "
                            "layers are finite",
                            i + 1, losses.losses.size()));
        sums.add(losses.losses[i]);
    }
    const std::lock_guard lock(mutex_);
    const auto ahead = static_cast<std::size_t>(losses.ahead);
    wave_losses_.resize(std::max(wave_losses_.size(), ahead + 1));
    wave_losses_[ahead].push_back(sums);
}

imatrix::Entry& Collector::committed_of(const std::string& weight, std::int64_t occurrence) {
    const auto found = occurrences_.find(weight);
    if (found == occurrences_.end() && occurrence == 0 && !stacks_.contains(weight))
        return committed_.matrix.entries[weight];
    std::vector<imatrix::Entry>& all = found != occurrences_.end()
                                           ? found->second
                                           : occurrences_[weight] = {committed_.matrix.entries[weight]};
    all.resize(std::max(all.size(), static_cast<std::size_t>(occurrence) + 1));
    return all[static_cast<std::size_t>(occurrence)];
}

void Collector::commit() {
    for (Shared& shared : touched_) {  // a weight's first occurrence was touched first
        for (std::size_t i = 1; i < shared.weights.size(); ++i)
            committed_of(shared.weights[i], shared.occurrence) = shared.entry;
        committed_of(shared.weights.front(), shared.occurrence) = std::move(shared.entry);
    }
    for (const auto& [weight, occurrences] : occurrences_) {
        imatrix::Entry all = together(occurrences);
        if (const auto stack = stacks_.find(weight); stack != stacks_.end()) {
            all = imatrix::fold_heads(all, static_cast<std::uint64_t>(stack->second));
            committed_.matrix.entries.erase(weight);
            if (const auto before = stacks_before_.find(weight); before != stacks_before_.end())
                committed_.matrix.entries[weight] = before->second;
            imatrix::add_entry(committed_.matrix, weight, std::move(all));
        } else {
            committed_.matrix.entries[weight] = std::move(all);
        }
    }
    for (std::size_t ahead = 0; ahead < wave_losses_.size(); ++ahead) {
        committed_.nextn_losses.resize(std::max(committed_.nextn_losses.size(), ahead));
        auto& all = ahead == 0 ? committed_.chunk_losses : committed_.nextn_losses[ahead - 1];
        all.insert(all.end(), wave_losses_[ahead].begin(), wave_losses_[ahead].end());
    }
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
