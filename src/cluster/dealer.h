// Which rank takes which chunks: what is left is dealt out in order, in parts as long as a rank is fast.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace assay::cluster {

/// Chunks [first, first + count).
struct Range {
    std::int64_t first = 0;
    std::int64_t count = 0;

    bool operator==(const Range&) const = default;
};

/// Chunks that are done, as few ranges as can be, in order.
class DoneChunks {
  public:
    void add(const Range& range);
    const std::vector<Range>& ranges() const noexcept { return ranges_; }
    /// How many are done before the first that is not.
    std::int64_t prefix() const noexcept {
        return !ranges_.empty() && ranges_.front().first == 0 ? ranges_.front().count : 0;
    }
    /// The next chunks that are not done, from `from` on and before `end`.
    std::optional<Range> gap(std::int64_t from, std::int64_t end) const;
    std::int64_t count() const noexcept;

    bool operator==(const DoneChunks&) const = default;

  private:
    std::vector<Range> ranges_;
};

/// Deals the chunks of one round. A rank gets its share of the tokens that are left, as its speed is to that
/// of all who had nothing yet, rounded up to whole chunks: where it suffices, each rank reads the model once
/// and all end together.
class Dealer {
  public:
    /// How many tokens the longest waves of the ranks have.
    explicit Dealer(std::vector<std::int64_t> longest);

    /// The chunks of a round; what is left of the one before is dropped. Of the run's chunks i has tokens
    /// [starts[i], starts[i + 1]); borrowed until the next round.
    void begin(const Range& chunks, std::span<const std::int64_t> starts);
    /// Nothing where none is left.
    std::optional<Range> next(std::size_t rank);
    /// Nothing more is dealt in this round.
    void close() noexcept { left_.count = 0; }
    /// How long a rank took for chunks of this round.
    void measured(std::size_t rank, const Range& done, double seconds);

  private:
    std::vector<std::int64_t> longest_;
    std::vector<double> speed_;  ///< tokens a second; 0: not known yet
    std::vector<bool> served_;
    std::span<const std::int64_t> starts_;
    Range left_;
};

}  // namespace assay::cluster
