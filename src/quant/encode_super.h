// Super-blocks of 256 weights whose sub-blocks have quantised scales of their own. Each sub-block is fitted
// alone; then the super scale is set so that the largest sub scale fits, sub scales are rounded to the
// neighbour with the least error, and the super scale is solved once more for the codes so found.
#pragma once

#include <array>
#include <cstdint>

#include "quant/encode_search.h"

namespace assay::quant {

inline constexpr std::size_t kSuper = 256;

/// w = d * scale[k] * level
struct SymmetricSuper {
    std::uint16_t d = 0;
    std::array<int, 16> scale{};           ///< one per sub-block
    std::array<float, kSuper> position{};  ///< x / (d * scale[k]); the grid gives level or code
};

struct ScaleRange {
    int lo;
    int hi;
};

/// `sub` weights a sub-block, 16 or 32. importance may be nullptr.
SymmetricSuper encode_symmetric(const float* x, const float* importance, std::size_t sub, ScaleRange range,
                                IntegerGrid grid);
SymmetricSuper encode_symmetric(const float* x, const float* importance, std::size_t sub, ScaleRange range,
                                Iq4Grid grid);

/// w = d * scale[k] * code - dmin * min[k], nothing negative
struct AffineSuper {
    std::uint16_t d = 0;
    std::uint16_t dmin = 0;
    std::array<std::uint8_t, 16> scale{};
    std::array<std::uint8_t, 16> min{};
    std::array<std::uint8_t, kSuper> code{};
};

/// Codes 0..max_code, sub scales and mins 0..max_scale.
AffineSuper encode_affine(const float* x, const float* importance, std::size_t sub, int max_code,
                          int max_scale);

}  // namespace assay::quant
