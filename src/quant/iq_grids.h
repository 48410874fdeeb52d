// The codebooks of the IQ1, IQ2 and IQ3 types: each entry is a point of 8 (or 4) weights. The points are part
// of the file format; scripts/make_iq_grids.py writes iq_grids.cpp from the `gguf` Python package's data.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace assay::quant {

template <std::size_t kEntries, std::size_t kLength>
using Grid = std::array<std::array<std::int8_t, kLength>, kEntries>;

extern const Grid<2048, 8> kGridIq1;    ///< IQ1_S and IQ1_M: -1, 0, 1
extern const Grid<256, 8> kGridIq2Xxs;  ///< magnitudes 8, 25, 43
extern const Grid<512, 8> kGridIq2Xs;   ///< magnitudes 8, 25, 43
extern const Grid<1024, 8> kGridIq2S;   ///< magnitudes 8, 25, 43
extern const Grid<256, 4> kGridIq3Xxs;  ///< magnitudes 4, 12, 20, 28, 36, 44, 52, 62
extern const Grid<512, 4> kGridIq3S;    ///< magnitudes 1, 3 .. 15

/// Eight signs stored in seven bits: the eighth makes the number of set bits even.
constexpr unsigned even_signs(unsigned seven_bits) noexcept {
    return seven_bits | (static_cast<unsigned>(std::popcount(seven_bits)) & 1u) << 7;
}

}  // namespace assay::quant
