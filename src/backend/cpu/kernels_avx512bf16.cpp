// Attention of one head over one block of queries, products in bf16 with f32 accumulation.
//
// vdpbf16ps multiplies pairs of neighbours along the summed dimension, so keys are packed as
// [n_keys_padded/16][head_dim/2][16][2] and values as [n_keys_padded/2][width][2], zeros in the padding.
#include <cstdint>
#include <immintrin.h>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 16;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_softmax.h"
#include "core/half.h"

namespace assay::backend::cpu {
namespace {

constexpr std::int64_t kPair = 2;

std::size_t packed_keys_bytes(std::int64_t n_keys_padded, std::int64_t head_dim) {
    return static_cast<std::size_t>(n_keys_padded * round_up(head_dim, kPair)) * 2;
}

std::size_t packed_values_bytes(std::int64_t n_keys_padded, std::int64_t value_dim) {
    return static_cast<std::size_t>(n_keys_padded * padded_values(value_dim)) * 2;
}

void pack_keys(const float* k, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
               std::int64_t head_dim, void* out) {
    auto* packed = static_cast<std::uint16_t*>(out);
    const std::int64_t depth = round_up(head_dim, kPair);
    std::memset(packed, 0, packed_keys_bytes(n_keys_padded, head_dim));
    for (std::int64_t key = 0; key < n_keys; ++key) {
        std::uint16_t* column = packed + key / kLanes * kLanes * depth + key % kLanes * kPair;
        for (std::int64_t c = 0; c < head_dim; ++c)
            column[c / kPair * kLanes * kPair + c % kPair] = float_to_bf16(k[key * stride + c]);
    }
}

void pack_values(const float* v, std::int64_t stride, std::int64_t n_keys, std::int64_t n_keys_padded,
                 std::int64_t value_dim, void* out) {
    auto* packed = static_cast<std::uint16_t*>(out);
    const std::int64_t width = padded_values(value_dim);
    std::memset(packed, 0, packed_values_bytes(n_keys_padded, value_dim));
    for (std::int64_t key = 0; key < n_keys; ++key) {
        std::uint16_t* row = packed + key / kPair * width * kPair + key % kPair;
        for (std::int64_t c = 0; c < value_dim; ++c) row[c * kPair] = float_to_bf16(v[key * stride + c]);
    }
}

/// Where the pairs of 16 columns starting at column n are: base + n * per_column + pair * per_pair.
struct Packed {
    const std::uint16_t* base;
    std::int64_t per_column;
    std::int64_t per_pair;
};

template <int kRows>
inline void multiply_tile(const std::uint16_t* a, std::int64_t a_stride, const Packed& b, std::int64_t n,
                          std::int64_t pairs, float* c, std::int64_t c_stride) {
    __m512 total[kRows][2];
    for (auto& row : total) row[0] = row[1] = _mm512_setzero_ps();
    const std::uint16_t* b0 = b.base + n * b.per_column;
    const std::uint16_t* b1 = b.base + (n + kLanes) * b.per_column;
    for (std::int64_t k = 0; k < pairs; ++k) {
        const auto v0 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b0 + k * b.per_pair));
        const auto v1 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b1 + k * b.per_pair));
        for (int r = 0; r < kRows; ++r) {
            int pair;
            std::memcpy(&pair, a + r * a_stride + k * kPair, sizeof pair);
            const auto ar = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
            total[r][0] = _mm512_dpbf16_ps(total[r][0], ar, v0);
            total[r][1] = _mm512_dpbf16_ps(total[r][1], ar, v1);
        }
    }
    for (int r = 0; r < kRows; ++r) {
        _mm512_storeu_ps(c + r * c_stride, total[r][0]);
        _mm512_storeu_ps(c + r * c_stride + kLanes, total[r][1]);
    }
}

/// c [rows, cols] f32 = a [rows, 2 * pairs] * b; cols a multiple of 32.
inline void multiply(const std::uint16_t* a, std::int64_t a_stride, const Packed& b, std::int64_t rows,
                     std::int64_t cols, std::int64_t pairs, float* c, std::int64_t c_stride) {
    constexpr int kRows = 8;
    for (std::int64_t n = 0; n < cols; n += 2 * kLanes) {
        std::int64_t r = 0;
        for (; r + kRows <= rows; r += kRows)
            multiply_tile<kRows>(a + r * a_stride, a_stride, b, n, pairs, c + r * c_stride + n, c_stride);
        for (; r < rows; ++r)
            multiply_tile<1>(a + r * a_stride, a_stride, b, n, pairs, c + r * c_stride + n, c_stride);
    }
}

std::size_t head_block_scratch(std::int64_t n_keys_padded, std::int64_t head_dim, std::int64_t value_dim) {
    const std::int64_t halves = n_keys_padded + round_up(head_dim, kPair);
    return static_cast<std::size_t>(kQueryBlock * (n_keys_padded + padded_values(value_dim) + halves / 2));
}

void head_block(const HeadBlock& block) {
    const std::int64_t keys = block.n_keys_padded;
    const std::int64_t width = padded_values(block.value_dim);
    const std::int64_t depth = round_up(block.head_dim, kPair);
    const std::int64_t end = smaller(keys, round_up(block.first_query + block.n_queries, kKeyPad));
    const std::int64_t begin = visible_keys(block, block.first_query).first / kKeyPad * kKeyPad;
    float* scores = block.scratch;
    float* result = scores + kQueryBlock * keys;
    auto* weights = reinterpret_cast<std::uint16_t*>(result + kQueryBlock * width);
    std::uint16_t* q = weights + kQueryBlock * keys;

    for (std::int64_t r = 0; r < block.n_queries; ++r) {
        to_bf16(block.q + r * block.q_stride, block.head_dim, q + r * depth);
        if (depth > block.head_dim) q[r * depth + block.head_dim] = 0;
    }
    const Packed key_pairs{static_cast<const std::uint16_t*>(block.keys) + begin * depth, depth,
                           kLanes * kPair};
    multiply(q, depth, key_pairs, block.n_queries, end - begin, depth / kPair, scores + begin, keys);
    for (std::int64_t r = 0; r < block.n_queries; ++r) {
        softmax_row(block, block.first_query + r, scores + r * keys, end);
        to_bf16(scores + r * keys + begin, end - begin, weights + r * keys + begin);
    }
    const Packed value_pairs{static_cast<const std::uint16_t*>(block.values) + begin * width, kPair,
                             width * kPair};
    multiply(weights + begin, keys, value_pairs, block.n_queries, width, (end - begin) / kPair, result,
             width);
    for (std::int64_t r = 0; r < block.n_queries; ++r)
        std::memcpy(block.out + r * block.out_stride, result + r * width,
                    static_cast<std::size_t>(block.value_dim) * 4);
}

}  // namespace

}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_avx512bf16() {
    static constexpr Kernels kTable = kernel_table(Isa::Avx512Bf16);
    return kTable;
}

}  // namespace assay::backend::cpu
