#include "backend/cpu/expert_shares.h"

#include "backend/cpu/cpu_backend.h"

namespace assay::backend::cpu {

namespace {

using Choices = std::span<const CpuRouting::Choice>;

static_assert(kExpertTile % kRowTile == 0, "a strand at least fits into what is left of the buffers");

std::int64_t in_whole_tiles(std::size_t rows) noexcept {
    return (static_cast<std::int64_t>(rows) + kExpertTile - 1) / kExpertTile * kExpertTile;
}

/// The largest part of these rows, at most `most` of them, that ends with a strand.
std::size_t cut(Choices choices, std::size_t most) noexcept {
    if (choices.size() <= most) return choices.size();
    std::size_t begin = most;  // of the chunk that is cut
    while (begin > 0 && choices[begin - 1].chunk == choices[most].chunk) --begin;
    return begin + (most - begin) / kRowTile * kRowTile;
}

}  // namespace

std::vector<Share> Shares::next(std::int64_t most_rows) {
    std::vector<Share> shares;
    for (std::int64_t n_rows = 0; expert_ < n_experts_ && n_rows < most_rows;) {
        const Choices left =
            Choices(routing_.by_expert[static_cast<std::size_t>(first_ + expert_)]).subspan(taken_);
        const std::size_t count = cut(left, static_cast<std::size_t>(most_rows - n_rows));
        if (count > 0) shares.push_back({expert_, n_rows, left.first(count)});
        taken_ += count;
        if (count < left.size()) break;
        n_rows += in_whole_tiles(count);
        ++expert_;
        taken_ = 0;
    }
    return shares;
}

std::int64_t rows_of(std::span<const Share> shares) noexcept {
    return shares.empty() ? 0 : shares.back().first + in_whole_tiles(shares.back().choices.size());
}

std::vector<Segment> segments_of(std::span<const Share> shares) {
    std::vector<Segment> segments;
    for (const Share& share : shares)
        for (std::size_t i = 0; i < share.choices.size();) {
            const std::int64_t chunk = share.choices[i].chunk;
            std::size_t end = i;
            while (end < share.choices.size() && share.choices[end].chunk == chunk) ++end;
            segments.push_back({share.expert, chunk, share.first + static_cast<std::int64_t>(i),
                                share.choices.subspan(i, end - i)});
            i = end;
        }
    return segments;
}

}  // namespace assay::backend::cpu
