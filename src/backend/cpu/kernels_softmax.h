// Softmax over the visible keys of a query: what attention kernels of every precision share. Included like
// kernels_rows.h.
#pragma once

#include "backend/cpu/kernels_rows.h"

namespace assay::backend::cpu {
namespace {

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}
inline std::int64_t padded_values(std::int64_t value_dim) { return round_up(value_dim, 2 * kLanes); }

/// The visible keys of the query at `position`: [first, last).
struct Visible {
    std::int64_t first;
    std::int64_t last;
};
inline Visible visible_keys(const HeadBlock& block, std::int64_t position) {
    return {block.window > 0 && position >= block.window ? position + 1 - block.window : 0, position + 1};
}

/// Turns one row of scores into probabilities over [0, width), zero outside the visible keys.
inline void softmax_row(const HeadBlock& block, std::int64_t position, float* row, std::int64_t width) {
    const Visible visible = visible_keys(block, position);
    const std::int64_t first = visible.first;
    const std::int64_t last = visible.last;
    const float temperature = block.query_scale != nullptr ? block.query_scale[position] : 1.0f;
    const float largest = scale_and_max(row + first, last - first, block.scale * temperature, block.soft_cap);
    std::memset(row, 0, static_cast<std::size_t>(first) * 4);
    std::memset(row + last, 0, static_cast<std::size_t>(width - last) * 4);
    Floats total{};
    map(row + first, last - first, row + first, [&](Floats v, std::int64_t i) {
        Floats e = exp(v - largest);
        if (first + i + kLanes > last) {  // lanes behind the last key hold no score
            float lanes[kLanes];
            store(lanes, e);
            for (std::int64_t lane = last - first - i; lane < kLanes; ++lane) lanes[lane] = 0;
            e = load(lanes);
        }
        total += e;
        return e;
    });
    const float factor = 1.0f / sum_lanes(total);
    map(row + first, last - first, row + first, [&](Floats v, std::int64_t) { return v * factor; });
}

}  // namespace
}  // namespace assay::backend::cpu
