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
    state_.committed.matrix = std::move(start);
    for (const auto& [weight, n_heads] : stacks_)
        if (const auto found = state_.committed.matrix.entries.find(weight);
            found != state_.committed.matrix.entries.end())
            state_.stacks_before[weight] = std::move(state_.committed.matrix.entries.extract(found).mapped());
}

imatrix::Entry Collector::start_of(const std::string& weight, const engine::InputSums& sums) const {
    const auto width = static_cast<std::uint64_t>(sums.width);
    const auto matrices = static_cast<std::uint64_t>(sums.n_matrices);
    const auto occurrence = static_cast<std::size_t>(sums.occurrence);
    const auto apart = state_.occurrences.find(weight);
    if (apart != state_.occurrences.end() && occurrence < apart->second.size())
        return apart->second[occurrence];
    const auto found = state_.committed.matrix.entries.find(weight);
    if (found == state_.committed.matrix.entries.end() || occurrence > 0 || stacks_.contains(weight)) {
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

std::vector<Touched*> Collector::touch(const engine::InputSums& sums) {
    std::vector<Touched*> all;
    std::vector<Touched*> fresh;
    for (const std::string& weight : sums.weights) {
        Touched*& shared = touched_of_[{weight, sums.occurrence}];
        if (shared == nullptr) {
            imatrix::Entry start = start_of(weight, sums);
            const auto same =
                std::ranges::find_if(fresh, [&](const Touched* s) { return s->entry == start; });
            if (same != fresh.end()) {
                shared = *same;
            } else {
                shared = &state_.touched.emplace_back(Touched{{}, sums.occurrence, std::move(start)});
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
    for (Touched* shared : touch(sums)) {
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
    state_.touched_similarity.add(sums.kind, static_cast<int>(sums.layer),
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
    state_.wave_losses.resize(std::max(state_.wave_losses.size(), ahead + 1));
    state_.wave_losses[ahead].push_back(sums);
}

imatrix::Entry& Collector::committed_of(const std::string& weight, std::int64_t occurrence) {
    const auto found = state_.occurrences.find(weight);
    if (found == state_.occurrences.end() && occurrence == 0 && !stacks_.contains(weight))
        return state_.committed.matrix.entries[weight];
    std::vector<imatrix::Entry>& all =
        found != state_.occurrences.end()
            ? found->second
            : state_.occurrences[weight] = {state_.committed.matrix.entries[weight]};
    all.resize(std::max(all.size(), static_cast<std::size_t>(occurrence) + 1));
    return all[static_cast<std::size_t>(occurrence)];
}

void Collector::commit() {
    for (Touched& shared : state_.touched) {  // a weight's first occurrence was touched first
        for (std::size_t i = 1; i < shared.weights.size(); ++i)
            committed_of(shared.weights[i], shared.occurrence) = shared.entry;
        committed_of(shared.weights.front(), shared.occurrence) = std::move(shared.entry);
    }
    for (const auto& [weight, occurrences] : state_.occurrences) {
        imatrix::Entry all = together(occurrences);
        if (const auto stack = stacks_.find(weight); stack != stacks_.end()) {
            all = imatrix::fold_heads(all, static_cast<std::uint64_t>(stack->second));
            state_.committed.matrix.entries.erase(weight);
            if (const auto before = state_.stacks_before.find(weight); before != state_.stacks_before.end())
                state_.committed.matrix.entries[weight] = before->second;
            imatrix::add_entry(state_.committed.matrix, weight, std::move(all));
        } else {
            state_.committed.matrix.entries[weight] = std::move(all);
        }
    }
    Collected& done = state_.committed;
    for (std::size_t ahead = 0; ahead < state_.wave_losses.size(); ++ahead) {
        done.nextn_losses.resize(std::max(done.nextn_losses.size(), ahead));
        auto& all = ahead == 0 ? done.chunk_losses : done.nextn_losses[ahead - 1];
        all.insert(all.end(), state_.wave_losses[ahead].begin(), state_.wave_losses[ahead].end());
    }
    done.similarity = state_.touched_similarity;
    abandon();
}

void Collector::abandon() {
    state_.touched.clear();
    touched_of_.clear();
    state_.wave_losses.clear();
    state_.touched_similarity = state_.committed.similarity;
}

void Collector::restore(CollectorState state) {
    state_ = std::move(state);
    touched_of_.clear();
    for (Touched& touched : state_.touched)
        for (const std::string& weight : touched.weights)
            touched_of_[{weight, touched.occurrence}] = &touched;
}

}  // namespace assay::calibrate
