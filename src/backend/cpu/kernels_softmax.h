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
    Visible visible{0, block.causal ? position + 1 : block.n_keys};
    if (block.window == 0) return visible;
    switch (block.window_kind) {
        case WindowKind::Sliding: visible.first = position + 1 - block.window; break;
        case WindowKind::Chunked: visible.first = position / block.window * block.window; break;
        case WindowKind::Symmetric:
            visible.first = position - block.window / 2;
            visible.last = smaller(visible.last, position + block.window / 2 + 1);
            break;
    }
    if (visible.first < 0) visible.first = 0;
    return visible;
}

/// The keys that any query of the block sees, in whole pads. Neither end of what a query sees moves back from
/// one query to the next.
inline Visible visible_pads(const HeadBlock& block) {
    if (block.n_tokens >= 0) return {0, block.n_keys_padded};
    const std::int64_t last = visible_keys(block, block.first_query + block.n_queries - 1).last;
    return {visible_keys(block, block.first_query).first / kKeyPad * kKeyPad,
            smaller(block.n_keys_padded, round_up(last, kKeyPad))};
}

/// Takes slope * |position - key| from the scores of keys first .. first + n; the largest that is left.
inline float subtract_slope(float* row, std::int64_t n, std::int64_t first, std::int64_t position,
                            float slope) {
    float largest = -INFINITY;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t distance = position - first - i;
        row[i] -= slope * static_cast<float>(distance < 0 ? -distance : distance);
        largest = row[i] > largest ? row[i] : largest;
    }
    return largest;
}

/// Whether the query at `position` sees a key, where keys are chosen or are those of blocks too.
inline bool sees(const HeadBlock& block, const Visible& visible, const float* chosen, std::int64_t position,
                 std::int64_t key) {
    if (block.n_tokens >= 0 && key >= block.n_tokens) {
        const std::int64_t i = key - block.n_tokens;
        return (i + 1) * block.block_tokens <= position + 1 && (chosen == nullptr || chosen[i] != 0);
    }
    if (key < visible.first || key >= visible.last) return false;
    return block.n_tokens >= 0 || chosen == nullptr || chosen[key / block.chosen_tokens] != 0;
}

/// softmax_row where keys are chosen, or are those of blocks too.
inline void softmax_chosen_row(const HeadBlock& block, std::int64_t position, float* row,
                               std::int64_t width) {
    const Visible visible = visible_keys(block, position);
    const float* chosen = block.chosen != nullptr
                              ? block.chosen + (position - block.first_query) * block.chosen_stride
                              : nullptr;
    const auto hidden = [&](std::int64_t key) {
        return key >= block.n_keys || !sees(block, visible, chosen, position, key);
    };
    const float temperature = block.query_scale != nullptr ? block.query_scale[position] : 1.0f;
    const float scale = block.scale * temperature;
    float largest = block.sink != nullptr ? *block.sink : -INFINITY;
    for (std::int64_t key = 0; key < width; ++key) {
        row[key] = hidden(key) ? -INFINITY : row[key] * scale;
        largest = row[key] > largest ? row[key] : largest;
    }
    map(row, width, row, [&](Floats v, std::int64_t) { return exp(v - largest); });
    float sum = block.sink != nullptr ? exp(all(*block.sink - largest))[0] : 0.0f;
    for (std::int64_t key = 0; key < width; ++key) {
        if (hidden(key)) row[key] = 0;
        sum += row[key];
    }
    const float factor = sum > 0 ? 1.0f / sum : 0.0f;
    map(row, width, row, [&](Floats v, std::int64_t) { return v * factor; });
}

/// Turns one row of scores into probabilities over [0, width), zero outside the visible keys.
inline void softmax_row(const HeadBlock& block, std::int64_t position, float* row, std::int64_t width) {
    if (block.n_tokens >= 0 || block.chosen != nullptr)
        return softmax_chosen_row(block, position, row, width);
    const Visible visible = visible_keys(block, position);
    const std::int64_t first = visible.first;
    const std::int64_t last = visible.last;
    const float temperature = block.query_scale != nullptr ? block.query_scale[position] : 1.0f;
    float largest = scale_and_max(row + first, last - first, block.scale * temperature, block.soft_cap);
    if (block.slope != 0) largest = subtract_slope(row + first, last - first, first, position, block.slope);
    if (block.sink != nullptr && *block.sink > largest) largest = *block.sink;
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
    float sum = sum_lanes(total);
    if (block.sink != nullptr) sum += exp(all(*block.sink - largest))[0];
    const float factor = 1.0f / sum;
    map(row + first, last - first, row + first, [&](Floats v, std::int64_t) { return v * factor; });
}

}  // namespace
}  // namespace assay::backend::cpu
