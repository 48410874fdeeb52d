#include "calibrate/collector.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "engine/not_finite.h"

namespace assay::calibrate {

namespace {

/// Loaded sums, and those of this run: one count may stand for all matrices, but not the other way round.
void check_fits(const std::string& weight, const imatrix::Entry& loaded, const imatrix::Entry& found) {
    imatrix::check_mergeable(weight, loaded, found);
    if (loaded.counts.size() != 1 && loaded.counts.size() != found.counts.size())
        throw_error(ErrorKind::Shape, "", "inconsistent expert count for {} ({} vs {})", weight,
                    loaded.counts.size(), found.counts.size());
}

}  // namespace

Collector::Collector(imatrix::Matrix start, Stacks stacks) : stacks_(std::move(stacks)) {
    state_.committed.matrix = std::move(start);
}

void Collector::commit(const std::string& weight, const imatrix::Entry& entry) {
    const auto stack = stacks_.find(weight);
    if (stack == stacks_.end()) return imatrix::add_entry(state_.committed.matrix, weight, entry);
    imatrix::add_entry(state_.committed.matrix, weight,
                       imatrix::fold_heads(entry, static_cast<std::uint64_t>(stack->second)));
}

Collector::Place& Collector::touch(const engine::InputSums& sums) {
    Place& place = places_[{sums.weights.begin(), sums.weights.end()}];
    if (place.sums != nullptr) return place;
    imatrix::Entry entry;
    entry.width = static_cast<std::uint64_t>(sums.width);
    entry.sum_sq.resize(static_cast<std::size_t>(sums.width * sums.n_matrices));
    entry.sum.resize(entry.sum_sq.size());
    entry.counts.resize(static_cast<std::size_t>(sums.n_matrices));
    entry.widen();
    for (const std::string& weight : sums.weights)
        if (const auto found = state_.committed.matrix.entries.find(weight);
            found != state_.committed.matrix.entries.end() && !stacks_.contains(weight))
            check_fits(weight, found->second, entry);
    state_.touched.push_back({{sums.weights.begin(), sums.weights.end()}, std::move(entry)});
    place.sums = &state_.touched.back();
    return place;
}

backend::Totals Collector::on_input(const engine::InputSums& sums) {
    const std::size_t matrices = sums.counts.size() / static_cast<std::size_t>(sums.chunks.count);
    const auto width = static_cast<std::size_t>(sums.width);
    const std::size_t first = static_cast<std::size_t>(sums.first_matrix) * width;
    const std::lock_guard lock(mutex_);
    const Place& place = touch(sums);
    imatrix::Entry& entry = place.sums->entry;
    for (std::size_t i = 0; i < sums.counts.size(); ++i)
        entry.counts[static_cast<std::size_t>(sums.first_matrix) + i % matrices] += sums.counts[i];
    const auto part = [&](std::vector<double>& high, std::vector<float>& low) {
        return ExactSums{high, low}.part(first, matrices * width);
    };
    return {part(entry.sum_sq, entry.sum_sq_low), part(entry.sum, entry.sum_low), place.guard.get()};
}

void Collector::on_similarity(const engine::SimilaritySums& sums) {
    if (!std::isfinite(sums.cosine) || !std::isfinite(sums.relative_change))
        throw engine::NotFinite(sums.chunk, "similarity", "is not a number",
                                fmt::format(", layer {}", sums.layer));
    const std::lock_guard lock(mutex_);
    state_.wave_similarity.add(sums.kind, static_cast<int>(sums.layer),
                               {sums.cosine, sums.relative_change, static_cast<std::uint64_t>(sums.rows)});
}

void Collector::on_losses(const engine::ChunkLosses& losses) {
    perplexity::Sums sums;
    RoleLosses by_role;
    const documents::Role* roles = nullptr;
    if (chunks_ != nullptr)
        roles = chunks_->roles.data() + chunks_->starts[static_cast<std::size_t>(losses.chunk)] +
                losses.first_token;
    for (std::size_t i = 0; i < losses.losses.size(); ++i) {
        if (!std::isfinite(losses.losses[i]))
            throw engine::NotFinite(
                losses.chunk, "perplexity", "is not a number",
                fmt::format(", at the {}. of its {} tokens that are scored, while the inputs of all "
                            "layers are finite",
                            i + 1, losses.losses.size()));
        sums.add(losses.losses[i]);
        if (roles != nullptr) by_role[index_of(roles[i])].add(losses.losses[i]);
    }
    const std::lock_guard lock(mutex_);
    const auto ahead = static_cast<std::size_t>(losses.ahead);
    state_.wave_losses.resize(std::max(state_.wave_losses.size(), ahead + 1));
    state_.wave_losses[ahead][losses.chunk] = sums;
    if (roles != nullptr && ahead == 0) state_.wave_role_losses[losses.chunk] = by_role;
}

namespace {

void add_losses(Collected& to, std::size_t ahead, std::int64_t chunk, const perplexity::Sums& sums) {
    to.nextn_losses.resize(std::max(to.nextn_losses.size(), ahead));
    auto& all = ahead == 0 ? to.chunk_losses : to.nextn_losses[ahead - 1];
    all.resize(std::max(all.size(), static_cast<std::size_t>(chunk) + 1));
    all[static_cast<std::size_t>(chunk)] = sums;
}

void add_losses(Collected& to, std::int64_t chunk, const RoleLosses& losses) {
    const auto at = static_cast<std::size_t>(chunk);
    to.role_losses.resize(std::max(to.role_losses.size(), at + 1));
    to.role_losses[at] = losses;
}

}  // namespace

void Collector::add(const Collected& more) {
    Collected& done = state_.committed;
    for (const auto& [weight, entry] : more.matrix.entries) imatrix::add_entry(done.matrix, weight, entry);
    for (std::size_t ahead = 0; ahead <= more.nextn_losses.size(); ++ahead) {
        const auto& all = ahead == 0 ? more.chunk_losses : more.nextn_losses[ahead - 1];
        for (std::size_t chunk = 0; chunk < all.size(); ++chunk)
            if (all[chunk].count > 0) add_losses(done, ahead, static_cast<std::int64_t>(chunk), all[chunk]);
    }
    for (std::size_t chunk = 0; chunk < more.role_losses.size(); ++chunk)
        if (std::ranges::any_of(more.role_losses[chunk], [](const auto& sums) { return sums.count > 0; }))
            add_losses(done, static_cast<std::int64_t>(chunk), more.role_losses[chunk]);
    done.similarity.add(more.similarity);
}

void Collector::commit() {
    Collected& done = state_.committed;
    for (WaveSums& sums : state_.touched) {
        for (const std::string& weight : sums.weights) commit(weight, sums.entry);
        sums = {};
    }
    for (std::size_t ahead = 0; ahead < state_.wave_losses.size(); ++ahead)
        for (const auto& [chunk, sums] : state_.wave_losses[ahead]) add_losses(done, ahead, chunk, sums);
    for (const auto& [chunk, losses] : state_.wave_role_losses) add_losses(done, chunk, losses);
    done.similarity.add(state_.wave_similarity);
    abandon();
}

void Collector::abandon() {
    state_.touched.clear();
    places_.clear();
    state_.wave_losses.clear();
    state_.wave_role_losses.clear();
    state_.wave_similarity = {};
}

void Collector::restore(CollectorState state) {
    state_ = std::move(state);
    places_.clear();
    for (WaveSums& sums : state_.touched) {
        sums.entry.widen();
        places_[sums.weights].sums = &sums;
    }
}

}  // namespace assay::calibrate
