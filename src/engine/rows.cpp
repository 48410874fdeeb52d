#include "engine/rows.h"

#include <algorithm>

namespace assay::engine {

namespace {

/// As many chunks from `first` on as go through a stage together.
std::int64_t group_chunks(const plan::PassPlan& plan, const Wave& wave, std::int64_t first) {
    std::int64_t count = 1;
    while (first + count < wave.n_chunks() && count < plan.most_group_chunks() &&
           wave.first_token(first + count + 1) - wave.first_token(first) <= plan.group_rows())
        ++count;
    return count;
}

}  // namespace

PartRows::PartRows(const plan::PassPlan& plan, backend::Backend& backend, const Wave& wave_,
                   std::int64_t ahead_)
    : wave(&wave_), ahead(ahead_) {
    std::vector<std::int64_t> starts{0};
    std::vector<float> weights;
    bool equal = wave->weights.empty();
    scored_starts.push_back(0);
    for (std::int64_t chunk = 0; chunk < wave->n_chunks(); ++chunk) {
        const std::int64_t n_tokens = wave->tokens_of(chunk);
        const std::int64_t first = std::min(ahead, n_tokens);
        equal = equal && n_tokens == wave->tokens_of(0);
        starts.push_back(starts.back() + n_tokens - first);
        scored_starts.push_back(scored_starts.back() + scored(chunk).count);
        if (wave->weights.empty()) continue;
        const auto own = wave->weights.subspan(static_cast<std::size_t>(wave->first_token(chunk) + first),
                                               static_cast<std::size_t>(n_tokens - first));
        weights.insert(weights.end(), own.begin(), own.end());
    }
    if (equal) {
        all = {wave->n_chunks(), starts.size() > 1 ? starts[1] : 0};
    } else {
        table = backend.lay_out(starts, weights);
        all = backend::Rows::of(*table);
    }
    for (std::int64_t chunk = 0; chunk < wave->n_chunks();) {
        const std::int64_t count = group_chunks(plan, *wave, chunk);
        groups.push_back({chunk, all.first_row(chunk), all.range(chunk, count),
                          ChunkRange{wave->first_chunk + chunk, count}});
        chunk += count;
    }
}

std::vector<std::int32_t> PartRows::of(std::span<const std::int32_t> entries, std::int64_t first_chunk,
                                       std::int64_t n_chunks, std::int64_t from) const {
    std::vector<std::int32_t> found;
    for (std::int64_t chunk = first_chunk; chunk < first_chunk + n_chunks; ++chunk) {
        const std::int64_t n = all.tokens(chunk);
        const std::int64_t end = wave->first_token(chunk + 1) - wave->first_token(from);
        const auto own = entries.subspan(static_cast<std::size_t>(end - n), static_cast<std::size_t>(n));
        found.insert(found.end(), own.begin(), own.end());
    }
    return found;
}

}  // namespace assay::engine
