#include "cluster/dealer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assay::cluster {

void DoneChunks::add(const Range& range) {
    if (range.count <= 0) return;
    const bool behind = ranges_.empty() || range.first > ranges_.back().first + ranges_.back().count;
    ranges_.push_back(range);
    if (behind) return;
    std::ranges::sort(ranges_, {}, &Range::first);
    std::vector<Range> joined;
    for (const Range& next : ranges_) {
        if (!joined.empty() && next.first <= joined.back().first + joined.back().count) {
            const std::int64_t end =
                std::max(joined.back().first + joined.back().count, next.first + next.count);
            joined.back().count = end - joined.back().first;
        } else {
            joined.push_back(next);
        }
    }
    ranges_ = std::move(joined);
}

std::optional<Range> DoneChunks::gap(std::int64_t from, std::int64_t end) const {
    for (const Range& range : ranges_) {
        if (range.first + range.count <= from) continue;
        if (range.first > from) {
            end = std::min(end, range.first);
            break;
        }
        from = range.first + range.count;
    }
    return from < end ? std::optional(Range{from, end - from}) : std::nullopt;
}

std::int64_t DoneChunks::count() const noexcept {
    std::int64_t count = 0;
    for (const Range& range : ranges_) count += range.count;
    return count;
}

Dealer::Dealer(std::vector<std::int64_t> longest)
    : longest_(std::move(longest)), speed_(longest_.size(), 0), served_(longest_.size(), false) {}

void Dealer::begin(const Range& chunks, std::span<const std::int64_t> starts) {
    starts_ = starts;
    left_ = chunks;
    std::fill(served_.begin(), served_.end(), false);
}

void Dealer::measured(std::size_t rank, const Range& done, double seconds) {
    const auto first = static_cast<std::size_t>(done.first), count = static_cast<std::size_t>(done.count);
    if (seconds > 0) speed_[rank] = static_cast<double>(starts_[first + count] - starts_[first]) / seconds;
}

std::optional<Range> Dealer::next(std::size_t rank) {
    if (left_.count <= 0) return std::nullopt;
    if (std::ranges::all_of(served_, [](bool served) { return served; }))
        std::fill(served_.begin(), served_.end(), false);
    served_[rank] = true;
    // Who has not been measured counts as fast as the mean of the others.
    const auto known = std::ranges::count_if(speed_, [](double speed) { return speed > 0; });
    const double sum = std::accumulate(speed_.begin(), speed_.end(), 0.0);
    const double mean = known > 0 ? sum / static_cast<double>(known) : 1;
    const auto speed = [&](std::size_t r) { return speed_[r] > 0 ? speed_[r] : mean; };
    double others = 0;
    for (std::size_t r = 0; r < speed_.size(); ++r)
        if (!served_[r]) others += speed(r);
    // Where the chunks that are left begin, behind the first of them, and where they end.
    const auto ends =
        starts_.subspan(static_cast<std::size_t>(left_.first), static_cast<std::size_t>(left_.count) + 1);
    const std::int64_t begin = ends.front();
    const double share = static_cast<double>(ends.back() - begin) * speed(rank) / (speed(rank) + others);
    const std::int64_t wanted = begin + static_cast<std::int64_t>(std::ceil(share * (1 - 1e-9)));
    const std::int64_t most = begin + std::min(longest_[rank], ends.back() - begin);
    const auto count =
        std::min(std::ranges::lower_bound(ends, wanted), std::ranges::upper_bound(ends, most) - 1) -
        ends.begin();
    const Range dealt{left_.first, std::max<std::int64_t>(1, count)};
    left_.first += dealt.count;
    left_.count -= dealt.count;
    return dealt;
}

}  // namespace assay::cluster
