// Which rows of experts are computed together: so many that their activations take a bounded memory, however
// the rows are spread over experts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/cpu/routing.h"

namespace assay::backend::cpu {

/// Rows that chose one expert come in few; one small tile for all, since a row's bits may depend on it.
constexpr std::int64_t kExpertTile = 64;

/// Rows of one expert that are computed together.
struct Share {
    std::int64_t expert = 0;  ///< within the batch
    std::int64_t first = 0;   ///< row in the buffers; a multiple of the tile
    std::span<const CpuRouting::Choice> choices;
};

/// Takes the rows of a batch of experts, expert after expert.
class Shares {
  public:
    /// Experts [first, first + n_experts) of the routing, which is borrowed.
    Shares(const CpuRouting& routing, std::int64_t first, std::int64_t n_experts)
        : routing_(routing), first_(first), n_experts_(n_experts) {}

    /// The next shares, which take at most `most_rows` of the buffers, a multiple of the tile; none when all
    /// are taken. An expert is cut only behind whole strands of a chunk's rows, which are summed one after
    /// another, so that sums do not depend on the cut.
    std::vector<Share> next(std::int64_t most_rows);

  private:
    const CpuRouting& routing_;
    const std::int64_t first_;
    const std::int64_t n_experts_;
    std::int64_t expert_ = 0;  ///< within the batch
    std::size_t taken_ = 0;    ///< of its rows
};

/// Rows of the buffers that shares take, padding included.
std::int64_t rows_of(std::span<const Share> shares) noexcept;

/// A run of one chunk's rows within a share: what is summed together.
struct Segment {
    std::int64_t expert = 0;
    std::int64_t chunk = 0;
    std::int64_t first = 0;  ///< row in the buffers
    std::span<const CpuRouting::Choice> choices;
};

std::vector<Segment> segments_of(std::span<const Share> shares);

}  // namespace assay::backend::cpu
