// The K family: 256 weights in sub-blocks of 16 or 32 whose scales (and mins) are themselves quantised.
// Order per weight: super scale times sub scale first, then times the code, then less the scaled min.
#include <array>

#include "quant/block_bits.h"
#include "quant/scalar_decoders.h"

namespace assay::quant {

namespace {

constexpr std::size_t kBlock = 256;

// scales[16] qs[64] d:h dmin:h; sixteen sub-blocks of 16, low nibble the scale, high the min.
// Each half of the block keeps its 128 two-bit codes in 32 bytes: sub-blocks 2j, 2j+1 at bit 2j.
void q2_k_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b + 80);
    const float dmin = half_at(b + 82);
    for (unsigned k = 0; k < 16; ++k) {
        const float scale = d * static_cast<float>(nibble(b[k], 0));
        const float min = dmin * static_cast<float>(nibble(b[k], 1));
        const std::uint8_t* qs = b + 16 + 32 * (k / 8) + 16 * (k % 2);
        for (unsigned l = 0; l < 16; ++l)
            *out++ = scale * static_cast<float>(two_bits(qs[l], 2 * (k % 8 / 2))) - min;
    }
}

// hmask[32] qs[64] scales[12] d:h; codes as Q2_K, a clear bit in hmask takes 4 off. The sixteen 6-bit scales
// (less 32) keep low nibbles in bytes 0..7 (k, then k + 8) and upper bits in bytes 8..11, pair k / 4.
void q3_k_block(const std::uint8_t* b, float* out) {
    const std::uint8_t* scales = b + 96;
    const float d = half_at(b + 108);
    for (unsigned k = 0; k < 16; ++k) {
        const int low = nibble(scales[k % 8], k / 8);
        const int high = two_bits(scales[8 + k % 4], 2 * (k / 4));
        const float scale = d * static_cast<float>(low + 16 * high - 32);
        const std::uint8_t* qs = b + 32 + 32 * (k / 8) + 16 * (k % 2);
        const std::uint8_t* hmask = b + 16 * (k % 2);
        for (unsigned l = 0; l < 16; ++l) {
            const int q = two_bits(qs[l], 2 * (k % 8 / 2)) - (bit(hmask[l], k / 2) ? 0 : 4);
            *out++ = scale * static_cast<float>(q);
        }
    }
}

struct ScaleMin {
    float scale;
    float min;
};

/// Sub-block k's 6-bit scale and min out of the twelve bytes of Q4_K and Q5_K: the first four pairs fill the
/// low six bits of bytes 0..7; the last four put low nibbles in bytes 8..11 and upper bits above the first.
ScaleMin scale_min(const std::uint8_t* b, unsigned k) {
    if (k < 4) return {static_cast<float>(b[k] & 63), static_cast<float>(b[k + 4] & 63)};
    return {static_cast<float>(nibble(b[k + 4], 0) + 16 * (b[k - 4] >> 6)),
            static_cast<float>(nibble(b[k + 4], 1) + 16 * (b[k] >> 6))};
}

// d:h dmin:h scales[12] qs[128]; sub-blocks 2g and 2g+1 of 32 are the low and high nibbles of bytes 32g..
void q4_k_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const float dmin = half_at(b + 2);
    for (unsigned k = 0; k < 8; ++k) {
        const ScaleMin sub = scale_min(b + 4, k);
        const float scale = d * sub.scale;
        const float min = dmin * sub.min;
        const std::uint8_t* qs = b + 16 + 32 * (k / 2);
        for (unsigned l = 0; l < 32; ++l) *out++ = scale * static_cast<float>(nibble(qs[l], k % 2)) - min;
    }
}

// d:h dmin:h scales[12] qh[32] qs[128]; as Q4_K with a fifth bit, bit k of qh
void q5_k_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b);
    const float dmin = half_at(b + 2);
    const std::uint8_t* qh = b + 16;
    for (unsigned k = 0; k < 8; ++k) {
        const ScaleMin sub = scale_min(b + 4, k);
        const float scale = d * sub.scale;
        const float min = dmin * sub.min;
        const std::uint8_t* qs = b + 48 + 32 * (k / 2);
        for (unsigned l = 0; l < 32; ++l)
            *out++ = scale * static_cast<float>(nibble(qs[l], k % 2) + 16 * bit(qh[l], k)) - min;
    }
}

// ql[128] qh[64] scales i8[16] d:h; per half: four runs t of 32 weights, ql bytes 32*(t%2).. nibble t/2,
// upper bits pair t of qh; one scale per 16
void q6_k_block(const std::uint8_t* b, float* out) {
    const float d = half_at(b + 208);
    for (unsigned k = 0; k < 16; ++k) {
        const unsigned half = k / 8;
        const unsigned run = k % 8 / 2;
        const std::uint8_t* ql = b + 64 * half + 32 * (run % 2) + 16 * (k % 2);
        const std::uint8_t* qh = b + 128 + 32 * half + 16 * (k % 2);
        const float scale = d * static_cast<float>(static_cast<std::int8_t>(b[192 + k]));
        for (unsigned l = 0; l < 16; ++l) {
            const int q = nibble(ql[l], run / 2) + 16 * two_bits(qh[l], 2 * run) - 32;
            *out++ = scale * static_cast<float>(q);
        }
    }
}

// d:f qs i8[256] bsums i16[16]; an activation format, not found in files
void q8_k_block(const std::uint8_t* b, float* out) {
    const float d = f32_at(b);
    for (std::size_t i = 0; i < kBlock; ++i)
        out[i] = d * static_cast<float>(static_cast<std::int8_t>(b[4 + i]));
}

}  // namespace

void decode_q2_k(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 84, q2_k_block>(row, n, out);
}
void decode_q3_k(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 110, q3_k_block>(row, n, out);
}
void decode_q4_k(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 144, q4_k_block>(row, n, out);
}
void decode_q5_k(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 176, q5_k_block>(row, n, out);
}
void decode_q6_k(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 210, q6_k_block>(row, n, out);
}
void decode_q8_k(const std::byte* row, std::size_t n, float* out) {
    decode_blocks<kBlock, 292, q8_k_block>(row, n, out);
}

}  // namespace assay::quant
