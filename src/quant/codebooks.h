// The small value tables of the non-linear 4-bit types.
#pragma once

#include <array>
#include <cstdint>

namespace assay::quant {

/// IQ4_NL and IQ4_XS: the sixteen levels of a 4-bit code.
inline constexpr std::array<std::int8_t, 16> kIq4Levels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                        1,    13,   25,  38,  53,  69,  89,  113};

/// MXFP4 and NVFP4: E2M1 (OCP Microscaling Formats 1.0, 5.3.3) doubled to be whole; the block scale is
/// halved.
inline constexpr std::array<std::int8_t, 16> kFp4Doubled{0, 1,  2,  3,  4,  6,  8,  12,
                                                         0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace assay::quant
