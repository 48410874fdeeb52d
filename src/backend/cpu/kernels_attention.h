// Attention of one head over one block of queries, products in f32. Included like kernels_rows.h.
//
// Keys are packed transposed, [head_dim, n_keys_padded], values as they are, [n_keys_padded, value_dim padded
// to lanes], so that both products are "a row times a matrix whose rows are contiguous".
#pragma once

#include "backend/cpu/kernels_softmax.h"

namespace assay::backend::cpu {
namespace {

std::size_t packed_keys_bytes(std::int64_t n_keys_padded, std::int64_t head_dim) {
    return static_cast<std::size_t>(n_keys_padded * head_dim) * sizeof(float);
}

std::size_t packed_values_bytes(std::int64_t n_keys_padded, std::int64_t value_dim) {
    return static_cast<std::size_t>(n_keys_padded * padded_values(value_dim)) * sizeof(float);
}

void pack_keys(const float* k, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
               std::int64_t head_dim, void* out) {
    auto* packed = static_cast<float*>(out);
    for (std::int64_t c = 0; c < head_dim; ++c)
        for (std::int64_t key = 0; key < n_keys_padded; ++key)
            packed[c * n_keys_padded + key] = key < n_keys ? k[key * stride + c] : 0.0f;
}

void pack_values(const float* v, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
                 std::int64_t value_dim, void* out) {
    auto* packed = static_cast<float*>(out);
    const std::int64_t width = padded_values(value_dim);
    std::memset(packed, 0, packed_values_bytes(n_keys_padded, value_dim));
    for (std::int64_t key = 0; key < n_keys; ++key)
        std::memcpy(packed + key * width, v + key * stride, static_cast<std::size_t>(value_dim) * 4);
}

/// c [kRows, 2 * kLanes] = a [kRows, depth] * b [depth, 2 * kLanes].
template <int kRows>
inline void multiply_tile(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                          std::int64_t depth, float* c, std::int64_t c_stride) {
    Floats total[kRows][2] = {};
    for (std::int64_t k = 0; k < depth; ++k) {
        const Floats b0 = load(b + k * b_stride);
        const Floats b1 = load(b + k * b_stride + kLanes);
        for (int r = 0; r < kRows; ++r) {
            const Floats ar = all(a[r * a_stride + k]);
            total[r][0] += ar * b0;
            total[r][1] += ar * b1;
        }
    }
    for (int r = 0; r < kRows; ++r) {
        store(c + r * c_stride, total[r][0]);
        store(c + r * c_stride + kLanes, total[r][1]);
    }
}

/// c [rows, cols] = a [rows, depth] * b [depth, cols]; cols a multiple of 2 * kLanes.
inline void multiply(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                     std::int64_t rows, std::int64_t cols, std::int64_t depth, float* c,
                     std::int64_t c_stride) {
    constexpr int kRows = kLanes == 16 ? 8 : 4;
    for (std::int64_t n = 0; n < cols; n += 2 * kLanes) {
        std::int64_t r = 0;
        for (; r + kRows <= rows; r += kRows)
            multiply_tile<kRows>(a + r * a_stride, a_stride, b + n, b_stride, depth, c + r * c_stride + n,
                                 c_stride);
        for (; r < rows; ++r)
            multiply_tile<1>(a + r * a_stride, a_stride, b + n, b_stride, depth, c + r * c_stride + n,
                             c_stride);
    }
}

std::size_t head_block_scratch(std::int64_t n_keys_padded, std::int64_t /*head_dim*/,
                               std::int64_t value_dim) {
    return static_cast<std::size_t>(kQueryBlock * (n_keys_padded + padded_values(value_dim)));
}

void head_block(const HeadBlock& block) {
    const std::int64_t keys = block.n_keys_padded;
    const std::int64_t width = padded_values(block.value_dim);
    const auto [begin, end] = visible_pads(block);
    float* scores = block.scratch;
    float* result = scores + kQueryBlock * keys;
    multiply(block.q, block.q_stride, static_cast<const float*>(block.keys) + begin, keys, block.n_queries,
             end - begin, block.head_dim, scores + begin, keys);
    for (std::int64_t r = 0; r < block.n_queries; ++r)
        softmax_row(block, block.first_query + r, scores + r * keys, end);
    multiply(scores + begin, keys, static_cast<const float*>(block.values) + begin * width, width,
             block.n_queries, width, end - begin, result, width);
    for (std::int64_t r = 0; r < block.n_queries; ++r)
        std::memcpy(block.out + r * block.out_stride, result + r * width,
                    static_cast<std::size_t>(block.value_dim) * 4);
}

}  // namespace
}  // namespace assay::backend::cpu
