// The block types of ik_llama.cpp, one struct each, for host and device code alike (layouts and formulas: its
// iqk_quantize.cpp and ggml-common.h, 2026-08).
//
// A struct says how many rows lie together (kRows), weights and bytes of a row's block (kWeights, kBytes) and
// the bytes of scale before each row's blocks (kRowMeta); eight() decodes weights first .. first + 7 of a
// block, first a multiple of 8. Code and scale are multiplied in float once, so that every processor gives
// the same bits; only IQ6_K rounds more often, in the order written.
#pragma once

#include "quant/block_bits.h"
#include "quant/codebooks.h"

namespace assay::quant {

/// Where one row's block is.
struct Place {
    Bytes row_scale =
        nullptr;            ///< of the group's rows, one after another; rows that lie alone are groups of one
    Bytes block = nullptr;  ///< this block of all rows of the group
    unsigned lane = 0;      ///< number of the row in its group
};

ASSAY_HOST_DEVICE inline float times(float scale, int code) noexcept {
    return scale * static_cast<float>(code);
}

template <unsigned kRowsOf, unsigned kWeightsOf, unsigned kBytesOf, unsigned kRowMetaOf> struct Layout {
    static constexpr unsigned kRows = kRowsOf, kWeights = kWeightsOf, kBytes = kBytesOf,
                              kRowMeta = kRowMetaOf;
};
template <unsigned kBytesOf, unsigned kRowMetaOf = 0> using IkLayout = Layout<1, 256, kBytesOf, kRowMetaOf>;

// --- a scale and a choice of levels per 16 weights
// ---------------------------------------------------------------

/// Two bits of weight i of 256: four runs of 32 weights share 32 bytes.
ASSAY_HOST_DEVICE inline int two_bit_code(Bytes qs, unsigned i) noexcept {
    return two_bits(qs[32 * (i / 128) + i % 32], 2 * (i / 32 % 4));
}

// d:h extra:u16 scales[8] qs[64]
struct Iq2K : IkLayout<76> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 16;
        const float scale = times(half_at(b), nibble(b[4 + sub / 2], sub % 2) - 8);
        const int shift = kIk2Shift * bit(u16_at(b + 2), sub);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.ik2_levels[two_bit_code(b + 12, first + j)] + shift);
    }
};

// d:h extra:u16 scales_h:u16 scales_l[8] qs[64] qh[32]; scales_h are the scales' signs
struct Iq3K : IkLayout<110> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 16;
        const int odd = 2 * nibble(b[6 + sub / 2], sub % 2) + 1;
        const float scale = times(half_at(b), with_sign(odd, bit(u16_at(b + 4), sub)));
        const int shift = kIk3Shift * bit(u16_at(b + 2), sub);
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first + j;
            const int code = two_bit_code(b + 14, i) + 4 * bit(b[78 + i % 32], i / 32);
            w[j] = times(scale, books.ik3_levels[code] + shift);
        }
    }
};

// d:h extra:u16 scales_h[4] scales_l[8] qs[128]; nibbles as in IQ4_NL, 32 weights in 16 bytes
struct Iq4K : IkLayout<144> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 16;
        const int six = nibble(b[8 + sub / 2], sub % 2) + 16 * two_bits(b[4 + sub / 4], 2 * (sub % 4));
        const float scale = times(half_at(b), six - 32);
        const int shift = kIk4Shift * bit(u16_at(b + 2), sub);
        const Bytes qs = b + 16 + 16 * (first / 32) + first % 16;
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.iq4_levels[nibble(qs[j], sub % 2)] + shift);
    }
};

/// Nibble of weight i of 256: two runs of 32 weights share 32 bytes.
ASSAY_HOST_DEVICE inline int nibble_code(Bytes qs, unsigned i) noexcept {
    return nibble(qs[32 * (i / 64) + i % 32], i / 32 % 2);
}

// d:h extra:u16 scales_h[4] scales_l[8] qs[128] qh[32]
struct Iq5K : IkLayout<176> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 16;
        const int six = nibble(b[8 + sub / 2], sub % 2) + 16 * two_bits(b[4 + sub / 4], 2 * (sub % 4));
        const float scale = times(half_at(b), six - 32);
        const int shift = kIk5Shift * bit(u16_at(b + 2), sub);
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first + j;
            const int code = nibble_code(b + 16, i) + 16 * bit(b[144 + i % 32], i / 32);
            w[j] = times(scale, books.ik5_levels[code] + shift);
        }
    }
};

// d:h extra:u16 scales i8[16] qs[128] qh[64]; the level of a code is a cubic of it
struct Iq6K : IkLayout<212> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const unsigned sub = first / 16;
        const float scale = times(half_at(b), signed_byte(b[4 + sub]));
        const auto shift = static_cast<float>(bit(u16_at(b + 2), sub));
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first + j;
            const int high = two_bits(b[148 + 32 * (i / 128) + i % 32], 2 * (i / 32 % 4));
            const auto q = static_cast<float>(nibble_code(b + 20, i) + 16 * high);
            const float level = q * (q * (q * 0.0011972f + -0.11218f) + 6.2568f) + -127.0f;
            w[j] = scale * (level + shift);
        }
    }
};

// --- a row scale, and a scale per 32 weights
// ------------------------------------------------------------------------

// row d:h; extra:u16 scales[4] qs[64]
struct Iq2Ks : IkLayout<70, 2> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 32;
        const unsigned extra = u16_at(b);
        const int five = nibble(b[2 + sub / 2], sub % 2) + 16 * bit(extra, 8 + sub);
        const float scale = times(half_at(at.row_scale), five - 16);
        const int shift = kIk2Shift * bit(extra, sub);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.ik2_levels[two_bit_code(b + 6, first + j)] + shift);
    }
};

// row d:h; scales_h:u16 scales_l[4] qs[64] qh[16]; codes of pairs, 16 in 16 nibbles
struct Iq2Kl : IkLayout<86, 2> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 32;
        const int six = nibble(b[2 + sub % 4], sub / 4) + 16 * two_bits(u16_at(b), 2 * sub);
        const float scale = times(half_at(at.row_scale), six - 32);
        for (unsigned pair = 0; pair < 4; ++pair) {
            const unsigned column = first % 32 / 2 + pair;
            const int code = nibble(b[6 + 16 * (sub / 2) + column], sub % 2) + 16 * bit(b[70 + column], sub);
            w[2 * pair] = times(scale, books.ik2_pairs[2 * code]);
            w[2 * pair + 1] = times(scale, books.ik2_pairs[2 * code + 1]);
        }
    }
};

// row d:h; extra:u16 scales[4] qs[64] qh[32]
struct Iq3Ks : IkLayout<102, 2> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 32;
        const unsigned extra = u16_at(b);
        const int five = nibble(b[2 + sub % 4], sub / 4) + 16 * bit(extra, sub);
        const float scale = times(half_at(at.row_scale), five - 16);
        const int shift = kIk3Shift * bit(extra, 8 + sub);
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first + j;
            const int code = two_bit_code(b + 6, i) + 4 * bit(b[70 + i % 32], sub);
            w[j] = times(scale, books.ik3_levels[code] + shift);
        }
    }
};

/// IQ4_KS, IQ4_KSS and IQ5_KS: a byte of seven bits of scale above the choice of levels.
ASSAY_HOST_DEVICE inline float ks_scale(float d, unsigned byte) noexcept {
    return times(d, static_cast<int>(byte & 254u) - 127);
}

// row d:f; scales[8] qs[128]
struct Iq4Ks : IkLayout<136, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const unsigned byte = at.block[first / 32];
        const float scale = ks_scale(f32_at(at.row_scale), byte);
        const int shift = kIk4Shift * bit(byte, 0);
        const Bytes qs = at.block + 8 + 16 * (first / 32) + first % 16;
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.iq4_levels[nibble(qs[j], first / 16 % 2)] + shift);
    }
};

// row d:f; per 32 weights eight u16: the lowest bits make the scale's byte, the others are nibbles in a Gray
// code
struct Iq4Kss : IkLayout<128, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes words = at.block + 16 * (first / 32);
        unsigned byte = 0;
        for (unsigned k = 0; k < 8; ++k) byte |= (words[2 * k] & 1u) << k;
        const float scale = ks_scale(f32_at(at.row_scale), byte);
        const int shift = kIk4Shift * bit(byte, 0);
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned column = first % 16 + j;
            const unsigned word = u16_at(words + column / 2 * 2) & 0xfffeu;
            const unsigned codes = (word ^ word >> 1) >> 8 * (column % 2);
            w[j] = times(scale, books.iq4_levels[nibble(codes, first / 16 % 2)] + shift);
        }
    }
};

// row d:f; scales[8] qs[128] qh[32]
struct Iq5Ks : IkLayout<168, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned byte = b[first / 32];
        const float scale = ks_scale(f32_at(at.row_scale), byte);
        const int shift = kIk5Shift * bit(byte, 0);
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first + j;
            const int code = nibble_code(b + 8, i) + 16 * bit(b[136 + i % 32], i / 32);
            w[j] = times(scale, books.ik5_levels[code] + shift);
        }
    }
};

// --- trellis: weights are successive values of a generator, whose start is stored
// ------------------------------------

/// Steps the generator: the sum of the lower six bits of the new state's bytes, less 126.
ASSAY_HOST_DEVICE inline int trellis_step(std::uint32_t& state) noexcept {
    state *= 0xcbac1fedu;
    return static_cast<int>((state & 0x3f3f3f3fu) * 0x01010101u >> 24) - 126;
}
constexpr std::uint32_t kTrellisStart = 4096;

// row d:f; sh[8] ql[32] qh[16]; 13 bits of start per 8 weights
struct Iq1Kt : IkLayout<56, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 32, group = first / 8 % 4;
        const float scale = times(f32_at(at.row_scale), books.iq4_levels[b[sub] & 15u]);
        const int start = b[8 + first / 8] + 256 * nibble(b[40 + 4 * (sub % 4) + group], sub / 4) +
                          4096 * bit(b[sub], 4 + group);
        std::uint32_t state = static_cast<std::uint32_t>(start) + kTrellisStart;
        for (unsigned j = 0; j < 8; ++j) w[j] = times(scale, trellis_step(state));
    }
};

// row d:f; scales[4] ql u16[32]
struct Iq2Kt : IkLayout<68, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned sub = first / 32;
        const float scale = times(f32_at(at.row_scale), books.iq4_levels[nibble(b[sub % 4], sub / 4)]);
        std::uint32_t state = u16_at(b + 4 + first / 4) + kTrellisStart;
        for (unsigned j = 0; j < 8; ++j) w[j] = times(scale, trellis_step(state));
    }
};

// row d:f; scales[4] ql u16[32] qh[32]; magnitudes from the generator, signs beside
struct Iq3Kt : IkLayout<100, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const unsigned sub = first / 32;
        const float scale = times(f32_at(at.row_scale), nibble(b[sub % 4], sub / 4));
        std::uint32_t state = u16_at(b + 4 + first / 4) + kTrellisStart;
        for (unsigned j = 0; j < 8; ++j) {
            const int value = trellis_step(state);
            const int negative = bit(b[68 + first % 32 + j], sub);
            w[j] = times(scale, with_sign(value < 0 ? -value : value, negative));
        }
    }
};

// row d:f; h u32[8] ql[64] qh[32]; 15 bits of start per 4 weights, and a bit per 32 that moves it
struct Iq4Kt : IkLayout<128, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const std::uint32_t head = u32_at(b + 4 * (first / 32));
        const float scale = times(f32_at(at.row_scale), static_cast<int>(head >> 1 & 127u) - 64);
        for (unsigned half = 0; half < 2; ++half) {
            const unsigned group = first / 4 + half;  // of 64
            const int low = b[32 + group] + 256 * nibble(b[96 + group % 32], group / 32);
            std::uint32_t state = static_cast<std::uint32_t>(low) +
                                  4096 * (head >> (8 + 3 * (group % 8)) & 7u) + kTrellisStart +
                                  32768 * (head & 1u);
            for (unsigned j = 0; j < 4; ++j) w[4 * half + j] = times(scale, trellis_step(state));
        }
    }
};

// --- the others
// --------------------------------------------------------------------------------------------------

// d:h qh[8] qs[16], 32 weights
struct Q6_0 : Layout<1, 32, 26, 0> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const float d = half_at(b);
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first + j;
            const int high = two_bits(b[2 + i % 8], 4 * (i / 8 % 2) + 2 * (i / 16));
            w[j] = times(d, nibble(b[10 + i % 16], i / 16) + 16 * high - 32);
        }
    }
};

/// Digit of a base-3 fraction of 256ths, less one.
ASSAY_HOST_DEVICE inline int trit(unsigned byte, unsigned power) noexcept {
    return static_cast<int>((byte * power & 255u) * 3 >> 8) - 1;
}

// row d:h; ql[12] extra, 64 weights: per 16 five trits in each of three bytes, and one of `extra`
struct Iq1Bn : Layout<1, 64, 13, 2> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const float d = half_at(at.row_scale);
        const unsigned part = first / 16;
        for (unsigned j = 0; j < 8; ++j) {
            const unsigned i = first % 16 + j;
            const unsigned byte = i < 15 ? b[3 * part + i / 5] : b[12];
            unsigned power = 1;  // 81 for digit 0, 1 for digit 4
            for (unsigned digit = i < 15 ? i % 5 : part; digit < 4; ++digit) power *= 3;
            w[j] = times(d, trit(byte, power));
        }
    }
};

// row d:f; qs[16], 64 weights
struct Iq2Bn : Layout<1, 64, 16, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = f32_at(at.row_scale);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(d, two_bits(at.block[first % 16 + j], 2 * (first / 16)) - 1);
    }
};

// row d:f and a sum; i8[32]
struct Q8Kv : Layout<1, 32, 32, 8> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = f32_at(at.row_scale);
        for (unsigned j = 0; j < 8; ++j) w[j] = times(d, signed_byte(at.block[first + j]));
    }
};

}  // namespace assay::quant
