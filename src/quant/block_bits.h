// What the scalar decoders share: unaligned little-endian fields, bit fields, and the walk over a row's
// blocks. Private to this room, and never included by a file compiled for one instruction set: the linker
// keeps one copy of an inline function, and that copy must run on every processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/half.h"

namespace assay::quant {

inline std::uint16_t u16_at(const std::uint8_t* p) noexcept {
    std::uint16_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

inline std::uint32_t u32_at(const std::uint8_t* p) noexcept {
    std::uint32_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

inline float f32_at(const std::uint8_t* p) noexcept {
    float v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

inline float half_at(const std::uint8_t* p) noexcept { return half_to_float(u16_at(p)); }

/// Nibble i of a byte, 0 the low one.
constexpr int nibble(unsigned byte, unsigned i) noexcept { return static_cast<int>(byte >> 4 * i & 15u); }
/// The two bits that start at `shift`.
constexpr int two_bits(unsigned value, unsigned shift) noexcept {
    return static_cast<int>(value >> shift & 3u);
}
constexpr int bit(unsigned value, unsigned i) noexcept { return static_cast<int>(value >> i & 1u); }

/// A DecodeRow out of a function that decodes one block of `kBytes` bytes into `kWeights` floats.
template <std::size_t kWeights, std::size_t kBytes, void (*kBlock)(const std::uint8_t* block, float* out)>
void decode_blocks(const std::byte* row, std::size_t n, float* out) {
    const auto* block = reinterpret_cast<const std::uint8_t*>(row);
    for (std::size_t done = 0; done < n; done += kWeights, block += kBytes) kBlock(block, out + done);
}

}  // namespace assay::quant
