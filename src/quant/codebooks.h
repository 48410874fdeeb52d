// The value tables of types with uneven levels, and where decoders for host and device find all tables.
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

// The levels of ik_llama.cpp's types (ikawrakow/ik_llama.cpp, ggml-common.h, 2026-08). Each table has a
// second form, the same levels shifted up by a constant, which a bit beside the scale selects. The 4-bit ones
// are kIq4Levels.
inline constexpr std::array<std::int8_t, 4> kIk2Levels{-31, -13, 1, 17};
inline constexpr std::array<std::int8_t, 8> kIk3Levels{-63, -40, -23, -10, 1, 13, 28, 47};
inline constexpr std::array<std::int8_t, 32> kIk5Levels{
    -126, -114, -103, -92, -83, -74, -65, -57, -50, -43, -36, -30, -24, -18, -12, -6,
    -1,   5,    11,   17,  23,  29,  36,  43,  51,  59,  68,  77,  87,  97,  109, 121};
inline constexpr int kIk2Shift = 5, kIk3Shift = 4, kIk4Shift = 4, kIk5Shift = 2;

/// IQ2_KL: a 5-bit code stands for two neighbours.
inline constexpr std::array<std::int8_t, 64> kIk2Pairs{
    -63, -23, -63, 13,  -40, -63, -40, -10, -40, 13,  -40, 47,  -23, -40, -23, -23,
    -23, 1,   -23, 13,  -23, 28,  -10, -63, -10, 1,   -10, 13,  -10, 47,  1,   -23,
    1,   -10, 1,   1,   1,   13,  1,   28,  13,  -40, 13,  -23, 13,  -10, 13,  1,
    13,  13,  28,  -63, 28,  -23, 28,  1,   28,  28,  28,  47,  47,  -23, 47,  13};

/// Every table, in the memory of the processor that decodes. The points of the IQ types lie entry after
/// entry, 8 or 4 signed bytes each.
struct Codebooks {
    const std::int8_t* iq1 = nullptr;
    const std::int8_t* iq2_xxs = nullptr;
    const std::int8_t* iq2_xs = nullptr;
    const std::int8_t* iq2_s = nullptr;
    const std::int8_t* iq3_xxs = nullptr;
    const std::int8_t* iq3_s = nullptr;
    const std::int8_t* ik2_levels = nullptr;
    const std::int8_t* ik3_levels = nullptr;
    const std::int8_t* iq4_levels = nullptr;
    const std::int8_t* ik5_levels = nullptr;
    const std::int8_t* ik2_pairs = nullptr;
    const std::int8_t* fp4_doubled = nullptr;
};

}  // namespace assay::quant
