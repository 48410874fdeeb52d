// multiply() of kernels_attention_bf16.h for processors without bf16 products: pairs are widened and
// multiplied in f32, where the product of two bf16 values is exact. Included like kernels_rows.h.
#pragma once

#include "backend/cpu/bf16_pairs.h"

namespace assay::backend::cpu {
namespace {

constexpr std::int64_t kDepthStep = kPair;

struct UnitInUse {
    UnitInUse() {}  // nothing to prepare
};

/// The values of kLanes pairs: a float's upper half is the bf16 of the same value.
struct Widened {
    Floats first;
    Floats second;
};
inline Widened widen(Ints pairs) {
    const Ints first = pairs << 16;
    const Ints second = pairs & std::int32_t{-0x10000};
    Widened values;
    std::memcpy(&values.first, &first, sizeof first);
    std::memcpy(&values.second, &second, sizeof second);
    return values;
}
inline Widened load_pairs(const std::uint16_t* p) {
    Ints pairs;
    std::memcpy(&pairs, p, sizeof pairs);
    return widen(pairs);
}

template <int kRows>
inline void multiply_tile(const std::uint16_t* a, std::int64_t a_stride, const Packed& b, std::int64_t n,
                          std::int64_t pairs, float* c, std::int64_t c_stride) {
    Floats total[kRows][2] = {};
    const std::uint16_t* b0 = b.base + n * b.per_column;
    const std::uint16_t* b1 = b.base + (n + kLanes) * b.per_column;
    for (std::int64_t k = 0; k < pairs; ++k) {
        const Widened v0 = load_pairs(b0 + k * b.per_pair);
        const Widened v1 = load_pairs(b1 + k * b.per_pair);
        for (int r = 0; r < kRows; ++r) {
            std::int32_t pair;
            std::memcpy(&pair, a + r * a_stride + k * kPair, sizeof pair);
            const Widened ar = widen(Ints{} + pair);
            total[r][0] += ar.first * v0.first;
            total[r][0] += ar.second * v0.second;
            total[r][1] += ar.first * v1.first;
            total[r][1] += ar.second * v1.second;
        }
    }
    for (int r = 0; r < kRows; ++r) {
        store(c + r * c_stride, total[r][0]);
        store(c + r * c_stride + kLanes, total[r][1]);
    }
}

/// c [rows, cols] f32 = a [rows, 2 * pairs] * b; cols a multiple of 2 * kLanes.
inline void multiply(const std::uint16_t* a, std::int64_t a_stride, const Packed& b, std::int64_t rows,
                     std::int64_t cols, std::int64_t pairs, float* c, std::int64_t c_stride) {
    constexpr int kRows = kLanes == 16 ? 8 : 4;
    for (std::int64_t n = 0; n < cols; n += 2 * kLanes) {
        std::int64_t r = 0;
        for (; r + kRows <= rows; r += kRows)
            multiply_tile<kRows>(a + r * a_stride, a_stride, b, n, pairs, c + r * c_stride + n, c_stride);
        for (; r < rows; ++r)
            multiply_tile<1>(a + r * a_stride, a_stride, b, n, pairs, c + r * c_stride + n, c_stride);
    }
}

}  // namespace
}  // namespace assay::backend::cpu
