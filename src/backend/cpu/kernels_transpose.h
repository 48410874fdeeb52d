// Transposing words of four bytes, whatever they hold: squares of kLanes by kLanes in registers. Included
// once by each kernels_*.cpp, as kernels_rows.h is.
#pragma once

#include <cstring>
#include <utility>

#include "backend/cpu/kernels.h"

namespace assay::backend::cpu {
namespace {

typedef std::uint32_t Words __attribute__((vector_size(kLanes * 4)));

/// Exchanges the halves of two rows of squares of side kStep: the upper right ones for the lower left ones.
template <int kStep, int... kLane>
inline void exchange(Words& upper, Words& lower, std::integer_sequence<int, kLane...>) {
    const Words a = upper;
    const Words b = lower;
    upper = __builtin_shufflevector(a, b, ((kLane & kStep) != 0 ? kLanes + kLane - kStep : kLane)...);
    lower = __builtin_shufflevector(a, b, ((kLane & kStep) != 0 ? kLanes + kLane : kLane + kStep)...);
}

template <int kStep> inline void exchange_all(Words (&rows)[kLanes]) {
    for (int r = 0; r < kLanes; ++r)
        if ((r & kStep) == 0)
            exchange<kStep>(rows[r], rows[r + kStep], std::make_integer_sequence<int, kLanes>());
    if constexpr (kStep * 2 < kLanes) exchange_all<kStep * 2>(rows);
}

inline void transpose_square(const std::uint32_t* in, std::int64_t in_stride, std::uint32_t* out,
                             std::int64_t out_stride) {
    Words rows[kLanes];
    for (int r = 0; r < kLanes; ++r) std::memcpy(&rows[r], in + r * in_stride, sizeof(Words));
    exchange_all<1>(rows);
    for (int r = 0; r < kLanes; ++r) std::memcpy(out + r * out_stride, &rows[r], sizeof(Words));
}

void transpose(const std::uint32_t* in, std::int64_t in_stride, std::int64_t n_rows, std::int64_t n_cols,
               std::uint32_t* out, std::int64_t out_stride) {
    const std::int64_t whole_rows = n_rows / kLanes * kLanes;
    const std::int64_t whole_cols = n_cols / kLanes * kLanes;
    for (std::int64_t r = 0; r < whole_rows; r += kLanes)
        for (std::int64_t c = 0; c < whole_cols; c += kLanes)
            transpose_square(in + r * in_stride + c, in_stride, out + c * out_stride + r, out_stride);
    for (std::int64_t r = 0; r < n_rows; ++r)
        for (std::int64_t c = r < whole_rows ? whole_cols : 0; c < n_cols; ++c)
            out[c * out_stride + r] = in[r * in_stride + c];
}

}  // namespace
}  // namespace assay::backend::cpu
