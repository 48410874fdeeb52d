// Kernels for AVX-512 with its bf16 dot product (vdpbf16ps): attention's products in bf16.
#include <cstdint>
#include <immintrin.h>

namespace assay::backend::cpu {
namespace {
constexpr int kLanes = 16;
}
}  // namespace assay::backend::cpu

#include "backend/cpu/bf16_pairs.h"

namespace assay::backend::cpu {
namespace {

constexpr std::int64_t kDepthStep = kPair;

struct UnitInUse {
    UnitInUse() {}  // nothing to prepare
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

}  // namespace
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention_bf16.h"
#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_avx512bf16() {
    static constexpr Kernels kTable = kernel_table(Isa::Avx512Bf16);
    return kTable;
}

}  // namespace assay::backend::cpu
