// Weights of one sign bit (Q1_0) or of a few steps around zero (Q2_0, TQ1_0, TQ2_0).
#include <array>

#include "quant/block_bits.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

// d:h qs[16], 128 weights; w = +d where the bit is set, else -d
void q1_0_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    for (unsigned i = 0; i < 128; ++i) out[i] = d * static_cast<float>(2 * bit(b[2 + i / 8], i % 8) - 1);
}

// d:h qs[16], 64 weights; w = d*(q - 1), q of two bits: -d, 0, d, 2d
void q2_0_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    for (unsigned i = 0; i < 64; ++i)
        out[i] = d * static_cast<float>(two_bits(b[2 + i / 4], 2 * (i % 4)) - 1);
}

/// Trit n of a byte that holds the fraction 0.t0t1t2t3t4 in base 3, scaled by 256: shift n trits out to the
/// left, then the next one is the integer part of three times the fraction. Less one: -1, 0, 1.
float trit(std::uint8_t byte, std::size_t n) {
    constexpr std::array<unsigned, 5> kPowers{1, 3, 9, 27, 81};
    const unsigned fraction = byte * kPowers[n] & 255u;
    return static_cast<float>(static_cast<int>(fraction * 3 >> 8) - 1);
}

/// `width` bytes of `n_trits` trits: weight number n*width + m is trit n of byte m.
float* trits(const std::uint8_t* bytes, std::size_t width, std::size_t n_trits, float d, float* out) {
    for (std::size_t n = 0; n < n_trits; ++n)
        for (std::size_t m = 0; m < width; ++m) *out++ = d * trit(bytes[m], n);
    return out;
}

// qs[48] qh[4] d:h, 256 weights
void tq1_0_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b + 52);
    out = trits(b, 32, 5, d, out);
    out = trits(b + 32, 16, 5, d, out);
    trits(b + 48, 4, 4, d, out);
}

// qs[64] d:h, 256 weights; w = d*(q - 1)
void tq2_0_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b + 64);
    for (unsigned i = 0; i < 256; ++i) {
        const unsigned half = i / 128;
        const unsigned pair = i / 32 % 4;
        out[i] = d * static_cast<float>(two_bits(b[32 * half + i % 32], 2 * pair) - 1);
    }
}

}  // namespace

void decode_q1_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<128, 18, q1_0_block>(row, n, out);
}
void decode_q2_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<64, 18, q2_0_block>(row, n, out);
}
void decode_tq1_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 54, tq1_0_block>(row, n, out);
}
void decode_tq2_0(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<256, 66, tq2_0_block>(row, n, out);
}

}  // namespace assay::quant
