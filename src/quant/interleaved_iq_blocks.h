// ik_llama.cpp's repacks of its own types and of the IQ types with codebooks, as in interleaved_blocks.h.
#pragma once

#include "quant/interleaved_blocks.h"

namespace assay::quant {

// --- ik_llama.cpp's own: the bit beside the scale lies in extra[lane], for odd sixteens in extra[4 + lane]
// ----------

ASSAY_HOST_DEVICE inline int extra_bit(Bytes extra, unsigned first, unsigned lane) noexcept {
    return bit(extra[lane + 4 * (first / 16 % 2)], first / 32);
}

// d:h[4] extra[8] scales[32] qs[256]
struct Iq2KR4 : Blocks256<4, 76> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const float scale = times(lane_half(at), four_bit_scale(b + 16, scale_number(first, at.lane)) - 8);
        const int shift = kIk2Shift * extra_bit(b + 8, first, at.lane);
        const Bytes qs = b + 48 + 32 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.ik2_levels[two_bits_of_4(qs, Quad(first % 32 + j, at.lane))] + shift);
    }
};

// d:h[4] extra[8] scales_h[8] scales_l[32] qs[256] qh[128]; scales_h are the scales' signs
struct Iq3KR4 : Blocks256<4, 110> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned n = scale_number(first, at.lane);
        const int odd = 2 * four_bit_scale(b + 24, n) + 1;
        const float scale = times(lane_half(at), with_sign(odd, bit(b[16 + n % 8], n / 8)));
        const int shift = kIk3Shift * extra_bit(b + 8, first, at.lane);
        const Bytes qs = b + 56 + 32 * (first / 32), qh = b + 312 + 16 * (first / 32);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first % 32 + j, at.lane);
            w[j] = times(scale, books.ik3_levels[two_bits_of_4(qs, q) + 4 * third_bit_of_4(qh, q)] + shift);
        }
    }
};

// d:h[4] extra[8] scales_h[16] scales_l[32] qs[512]
struct Iq4KR4 : Blocks256<4, 144> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const float scale =
            times(lane_half(at), six_bit_scale(b + 32, b + 16, scale_number(first, at.lane)) - 32);
        const int shift = kIk4Shift * extra_bit(b + 8, first, at.lane);
        const Bytes qs = b + 64 + 64 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.iq4_levels[nibble_of_4(qs, Quad(first % 32 + j, at.lane))] + shift);
    }
};

/// Five bits: a nibble of 64 bytes, and a bit of 16.
ASSAY_HOST_DEVICE inline int five_bits_of_4(Bytes qs, Bytes qh, Quad q) noexcept {
    return nibble_of_4(qs, q) + 16 * bit(qh[q.column], 4 * (q.number % 2) + q.number / 2);
}

// d:h[4] extra[8] scales_h[16] scales_l[32] qs[512] qh[128]
struct Iq5KR4 : Blocks256<4, 176> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const float scale =
            times(lane_half(at), six_bit_scale(b + 32, b + 16, scale_number(first, at.lane)) - 32);
        const int shift = kIk5Shift * extra_bit(b + 8, first, at.lane);
        const Bytes qs = b + 64 + 64 * (first / 32), qh = b + 576 + 16 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] =
                times(scale, books.ik5_levels[five_bits_of_4(qs, qh, Quad(first % 32 + j, at.lane))] + shift);
    }
};

// row d:f; scales[32] qs[512]
struct Iq4KsR4 : Layout<4, 256, 136, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const unsigned byte = at.block[4 * (first / 32) + at.lane];
        const float scale = ks_scale(f32_at(at.row_scale), byte);
        const int shift = kIk4Shift * bit(byte, 0);
        const Bytes qs = at.block + 32 + 64 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, books.iq4_levels[nibble_of_4(qs, Quad(first % 32 + j, at.lane))] + shift);
    }
};

// row d:f; scales[32] qs[512] qh[128]
struct Iq5KsR4 : Layout<4, 256, 168, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const unsigned byte = at.block[4 * (first / 32) + at.lane];
        const float scale = ks_scale(f32_at(at.row_scale), byte);
        const int shift = kIk5Shift * bit(byte, 0);
        const Bytes qs = at.block + 32 + 64 * (first / 32), qh = at.block + 544 + 16 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] =
                times(scale, books.ik5_levels[five_bits_of_4(qs, qh, Quad(first % 32 + j, at.lane))] + shift);
    }
};

// --- points of the codebooks
// ----------------------------------------------------------------------------------------

ASSAY_HOST_DEVICE inline void signed_point(const std::int8_t* point, unsigned n, float scale, unsigned signs,
                                           float* w) noexcept {
    for (unsigned j = 0; j < n; ++j) w[j] = times(scale, with_sign(point[j], bit(signs, j)));
}

/// IQ2_XXS_R4 and IQ3_XXS_R4: a word per 32 weights, the scale in the lowest bits of its bytes, 32 signs
/// above.
struct SignsAndScale {
    std::uint32_t signs;
    int odd;  ///< twice the scale's four bits, plus one
    ASSAY_HOST_DEVICE SignsAndScale(Bytes words, unsigned first, unsigned lane) {
        const std::uint32_t word = u32_at(words + 4 * (4 * (first / 32) + lane));
        const std::uint32_t upper = word & 0xfefefefeu;
        signs = upper ^ upper >> 1;
        odd = 1;
        for (unsigned t = 0; t < 4; ++t) odd += 2 * bit(word, 8 * t) << t;
    }
};

// d:h[4] u32[32] qs[128]
struct Iq2XxsR4 : Blocks256<4, 66> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const SignsAndScale s(at.block + 8, first, at.lane);
        const unsigned point = first / 8 % 4;
        const unsigned index = at.block[136 + 16 * (first / 32) + 4 * at.lane + point];
        signed_point(books.iq2_xxs + 8 * index, 8, times(0.125f * lane_half(at), s.odd), s.signs >> 8 * point,
                     w);
    }
};

/// IQ2_XS_R4 and IQ2_S_R4: a nibble of scale per 16 weights.
ASSAY_HOST_DEVICE inline float eighths(const Place& at, Bytes scales, unsigned first) noexcept {
    return times(0.125f * lane_half(at), 2 * nibble(scales[4 * (first / 32) + at.lane], first / 16 % 2) + 1);
}

// d:h[4] qs u16[128] scales[32]; seven bits above the index, in a Gray code the signs
struct Iq2XsR4 : Blocks256<4, 74> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const unsigned q = u16_at(at.block + 8 + 2 * (16 * (first / 32) + 4 * at.lane + first / 8 % 4));
        const unsigned signs = q >> 9 ^ q >> 9 << 1;
        signed_point(books.iq2_xs + 8 * (q & 511u), 8, eighths(at, at.block + 264, first), signs, w);
    }
};

// d:h[4] qs[128] qh[32] signs[128] scales[32]
struct Iq2SR4 : Blocks256<4, 82> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned n = 4 * (first / 32) + at.lane, point = first / 8 % 4;
        const int index = b[8 + 4 * n + point] + 256 * two_bits(b[136 + n], 2 * point);
        signed_point(books.iq2_s + 8 * index, 8, eighths(at, b + 296, first), b[168 + 4 * n + point], w);
    }
};

// d:h[4] u32[32] qs[256]
struct Iq3XxsR4 : Blocks256<4, 98> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const SignsAndScale s(at.block + 8, first, at.lane);
        const float scale = times(0.25f * lane_half(at), s.odd);
        for (unsigned half = 0; half < 2; ++half) {
            const unsigned point = first / 4 % 8 + half;
            const unsigned index = at.block[136 + 32 * (first / 32) + 8 * at.lane + point];
            signed_point(books.iq3_xxs + 4 * index, 4, scale, s.signs >> 4 * point, w + 4 * half);
        }
    }
};

// d:h[4] qs[256] qh[32] signs[128] scales[16]; byte j of four sign bytes has weight j of every point
struct Iq3SR4 : Blocks256<4, 110> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const unsigned n = 4 * (first / 32) + at.lane;
        const float scale = times(lane_half(at), 1 + 2 * nibble(b[424 + n % 16], n / 16));
        for (unsigned half = 0; half < 2; ++half) {
            const unsigned point = first / 4 % 8 + half, place = 2 * (point % 4) + point / 4;
            const int index = b[8 + 32 * (first / 32) + 4 * place + at.lane] + 256 * bit(b[264 + n], point);
            for (unsigned j = 0; j < 4; ++j) {
                const int negative = bit(b[296 + 4 * n + j], point);
                w[4 * half + j] =
                    times(scale, with_sign(books.iq3_s[4 * index + static_cast<int>(j)], negative));
            }
        }
    }
};

ASSAY_HOST_DEVICE inline void shifted_point(const std::int8_t* point, float scale, bool down,
                                            float* w) noexcept {
    const float delta = down ? -0.125f : 0.125f;
    for (unsigned j = 0; j < 8; ++j) w[j] = scale * (static_cast<float>(point[j]) + delta);
}

// row d:h; qs[16] qh u16[4], 32 weights
struct Iq1SR4 : Layout<4, 32, 6, 2> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const unsigned high = u16_at(at.block + 16 + 2 * at.lane), point = first / 8;
        const float scale = times(half_at(at.row_scale), static_cast<int>(2 * (high >> 12 & 7u) + 1));
        const unsigned index = at.block[4 * point + at.lane] + 256u * (high >> 3 * point & 7u);
        shifted_point(books.iq1 + 8 * index, scale, bit(high, 15) != 0, w);
    }
};

// row d:h; qs[16] qh[8] scales[4], 32 weights; scales are whole, not odd as in IQ1_M
struct Iq1MR4 : Layout<4, 32, 7, 2> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const unsigned point = first / 8;
        const float scale = times(half_at(at.row_scale), nibble(at.block[24 + at.lane], point / 2));
        const int high = nibble(at.block[16 + 4 * (point / 2) + at.lane], point % 2);
        const int index = at.block[4 * point + at.lane] + 256 * (high & 7);
        shifted_point(books.iq1 + 8 * index, scale, (high & 8) != 0, w);
    }
};

}  // namespace assay::quant
