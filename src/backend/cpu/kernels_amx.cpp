// Kernels for AMX: attention's products in bf16 on tiles of 16 rows of 64 bytes, the rest as AVX-512.
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

constexpr std::int64_t kTileRows = 16;
constexpr std::int64_t kTilePairs = 16;
constexpr std::int64_t kDepthStep = kTilePairs * kPair;

/// Tiles 0 to 3 are results, 4 and 5 rows of a, 6 and 7 columns of b; all of full size. Layout: Intel SDM,
/// volume 1, "Programming with Intel AMX". The library configures tiles for itself in each of its calls.
struct UnitInUse {
    UnitInUse() {
        struct alignas(64) {
            std::uint8_t palette = 1;
            std::uint8_t start_row = 0;
            std::uint8_t reserved[14] = {};
            std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } const config;
        static_assert(sizeof config == 64);
        _tile_loadconfig(&config);
    }
    ~UnitInUse() { _tile_release(); }
    UnitInUse(const UnitInUse&) = delete;
    UnitInUse& operator=(const UnitInUse&) = delete;
};

/// c [2 or 1 tiles, 2 tiles] = a * b.
template <bool kTwoRows>
inline void multiply_tiles(const std::uint16_t* a, std::int64_t a_stride, const Packed& b, std::int64_t n,
                           std::int64_t pairs, float* c, std::int64_t c_stride) {
    const std::uint16_t* b0 = b.base + n * b.per_column;
    const std::uint16_t* b1 = b.base + (n + kLanes) * b.per_column;
    const std::uint16_t* a1 = a + kTileRows * a_stride;
    float* c1 = c + kTileRows * c_stride;
    const std::int64_t a_bytes = a_stride * 2, b_bytes = b.per_pair * 2, c_bytes = c_stride * 4;
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTwoRows) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (std::int64_t k = 0; k < pairs; k += kTilePairs) {
        _tile_loadd(6, b0 + k * b.per_pair, b_bytes);
        _tile_loadd(7, b1 + k * b.per_pair, b_bytes);
        _tile_loadd(4, a + k * kPair, a_bytes);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (kTwoRows) {
            _tile_loadd(5, a1 + k * kPair, a_bytes);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c, c_bytes);
    _tile_stored(1, c + kLanes, c_bytes);
    if constexpr (kTwoRows) {
        _tile_stored(2, c1, c_bytes);
        _tile_stored(3, c1 + kLanes, c_bytes);
    }
}

/// pairs a multiple of kTilePairs: heads are padded to kDepthStep, keys to kKeyPad.
inline void multiply(const std::uint16_t* a, std::int64_t a_stride, const Packed& b, std::int64_t rows,
                     std::int64_t cols, std::int64_t pairs, float* c, std::int64_t c_stride) {
    static_assert(kKeyPad % kDepthStep == 0 && kQueryBlock % (2 * kTileRows) == 0);
    for (std::int64_t n = 0; n < cols; n += 2 * kLanes)
        for (std::int64_t r = 0; r < rows; r += 2 * kTileRows) {
            const std::uint16_t* from = a + r * a_stride;
            float* to = c + r * c_stride + n;
            if (r + kTileRows < rows)
                multiply_tiles<true>(from, a_stride, b, n, pairs, to, c_stride);
            else
                multiply_tiles<false>(from, a_stride, b, n, pairs, to, c_stride);
        }
}

}  // namespace
}  // namespace assay::backend::cpu

#include "backend/cpu/kernels_attention_bf16.h"
#include "backend/cpu/kernels_table.h"

namespace assay::backend::cpu {

const Kernels& kernels_amx() {
    static constexpr Kernels kTable = kernel_table(Isa::Amx);
    return kTable;
}

}  // namespace assay::backend::cpu
