// What decoders share: unaligned little-endian fields and bit fields of blocks, for host and device code, and
// the walk over a row's blocks. Never included by a file compiled for one instruction set: the linker keeps
// one copy of an inline function, and that copy must run on every processor.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/half.h"
#include "core/host_device.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

namespace assay::quant {

using Bytes = const std::uint8_t*;

// Fields are put together from bytes: blocks have odd sizes, and a wide load of a device must be aligned.
ASSAY_HOST_DEVICE inline unsigned u16_at(Bytes p) noexcept { return p[0] | static_cast<unsigned>(p[1]) << 8; }
ASSAY_HOST_DEVICE inline std::uint32_t u32_at(Bytes p) noexcept { return u16_at(p) | u16_at(p + 2) << 16; }

/// The float of these bits.
ASSAY_HOST_DEVICE inline float float_of(std::uint32_t bits) noexcept {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    return std::bit_cast<float>(bits);
#endif
}
ASSAY_HOST_DEVICE inline float f32_at(Bytes p) noexcept { return float_of(u32_at(p)); }

ASSAY_HOST_DEVICE inline float half_of(unsigned bits) noexcept {
#if defined(__CUDA_ARCH__)
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
#else
    return half_to_float(static_cast<std::uint16_t>(bits));
#endif
}
ASSAY_HOST_DEVICE inline float half_at(Bytes p) noexcept { return half_of(u16_at(p)); }

/// Nibble i of a byte, 0 the low one.
ASSAY_HOST_DEVICE constexpr int nibble(unsigned byte, unsigned i) noexcept {
    return static_cast<int>(byte >> 4 * i & 15u);
}
/// The two bits that start at `shift`.
ASSAY_HOST_DEVICE constexpr int two_bits(unsigned value, unsigned shift) noexcept {
    return static_cast<int>(value >> shift & 3u);
}
ASSAY_HOST_DEVICE constexpr int bit(unsigned value, unsigned i) noexcept {
    return static_cast<int>(value >> i & 1u);
}
ASSAY_HOST_DEVICE constexpr int signed_byte(unsigned byte) noexcept {
    return static_cast<std::int8_t>(static_cast<std::uint8_t>(byte));
}

/// -magnitude where negative is 1, magnitude where it is 0; signs are random, so a branch would cost more.
ASSAY_HOST_DEVICE constexpr int with_sign(int magnitude, int negative) noexcept {
    return (magnitude ^ -negative) + negative;
}

/// 2^(e - 128): half of E8M0, since the codes under it are doubled. 0 and 1 give float denormals; 255, which
/// the OCP specification calls NaN, is a number here as it is in ggml.
ASSAY_HOST_DEVICE inline float half_e8m0(unsigned e) noexcept {
    return float_of(e < 2 ? 0x00200000u << e : (e - 1u) << 23);
}

/// Half of E4M3 without its sign bit; 0x7f, NaN by the format, is zero in ggml.
ASSAY_HOST_DEVICE inline float half_ue4m3(unsigned v) noexcept {
    if (v == 0x7f) return 0.0f;
    const unsigned exponent = v >> 3 & 15u;
    const auto mantissa = static_cast<float>(v & 7u);
    if (exponent == 0) return mantissa * 0x1p-10f;
    return (1.0f + mantissa / 8.0f) * float_of((exponent + 119u) << 23);  // 2^(exponent - 8)
}

/// A DecodeRows out of a function that decodes one block of `kBytes` bytes into `kWeights` floats.
template <std::size_t kWeights, std::size_t kBytes, void (*kBlock)(const std::uint8_t* block, float* out)>
void decode_blocks(const std::byte* row, std::size_t n, float* out) {
    const auto* block = reinterpret_cast<const std::uint8_t*>(row);
    for (std::size_t done = 0; done < n; done += kWeights, block += kBytes) kBlock(block, out + done);
}

}  // namespace assay::quant
