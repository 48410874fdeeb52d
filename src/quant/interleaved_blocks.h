// ik_llama.cpp's repacks of llama.cpp's types: 4, 8 or 16 rows lie together, and a block holds the fields of
// all of them (layouts: its iqk_quantize.cpp, 2026-08). Values are those of the plain type; only the places
// differ.
//
// Four neighbouring weights of a row lie in four neighbouring bytes; `lane` chooses these among the rows.
// Structs as in ik_blocks.h, kBytes being one row's share of a block.
#pragma once

#include "quant/ik_blocks.h"

namespace assay::quant {

template <unsigned kRowsOf, unsigned kBytesOf> using Blocks32 = Layout<kRowsOf, 32, kBytesOf, 0>;
template <unsigned kRowsOf, unsigned kBytesOf> using Blocks256 = Layout<kRowsOf, 256, kBytesOf, 0>;

/// Half scale number `lane` of those that begin a block.
ASSAY_HOST_DEVICE inline float lane_half(const Place& at) noexcept { return half_at(at.block + 2 * at.lane); }

// --- where the codes of 32 weights of four rows are
// ----------------------------------------------------------------

/// Weight i of 32, four to a quad.
struct Quad {
    unsigned number, column;
    ASSAY_HOST_DEVICE Quad(unsigned i, unsigned lane) : number(i / 4), column(4 * lane + i % 4) {}
};

/// Two bits each in 32 bytes.
ASSAY_HOST_DEVICE inline int two_bits_of_4(Bytes qs, Quad q) noexcept {
    return two_bits(qs[16 * (q.number / 4) + q.column], 2 * (q.number % 4));
}
/// The bit above, in 16 bytes.
ASSAY_HOST_DEVICE inline int third_bit_of_4(Bytes qh, Quad q) noexcept { return bit(qh[q.column], q.number); }

/// Which 16 of the 64 bytes of nibbles hold a quad: even ones in the first half, odd ones in the second. Two
/// quads share them, number 0 and 2, 1 and 3 and so on.
ASSAY_HOST_DEVICE inline unsigned run_of(Quad q) noexcept { return 2 * (q.number % 2) + q.number / 4; }
ASSAY_HOST_DEVICE inline unsigned is_high(Quad q) noexcept { return q.number / 2 % 2; }
/// Four bits each in 64 bytes.
ASSAY_HOST_DEVICE inline int nibble_of_4(Bytes qs, Quad q) noexcept {
    return nibble(qs[16 * run_of(q) + q.column], is_high(q));
}
/// Four bits each in the 128 bytes of eight rows.
ASSAY_HOST_DEVICE inline int nibble_of_8(Bytes qs, Quad q) noexcept {
    return nibble(qs[32 * (q.number % 4) + q.column], q.number / 4);
}

// --- where scales of 256 weights are
// -------------------------------------------------------------------------------

/// Scale number n: nibbles of 32 bytes, the low ones first.
ASSAY_HOST_DEVICE inline int four_bit_scale(Bytes low, unsigned n) noexcept {
    return nibble(low[n % 32], n / 32);
}
/// The same with two bits above in 16 bytes.
ASSAY_HOST_DEVICE inline int six_bit_scale(Bytes low, Bytes high, unsigned n) noexcept {
    return four_bit_scale(low, n) + 16 * two_bits(high[n % 16], 2 * (n / 16));
}
/// Number of the scale of a row's weights first .. first + 15, of four rows.
ASSAY_HOST_DEVICE inline unsigned scale_number(unsigned first, unsigned lane) noexcept {
    return 4 * (first / 16) + lane;
}

// --- 32 weights a block
// --------------------------------------------------------------------------------------------

// d:h[8] qs[128]
struct Q4_0R8 : Blocks32<8, 18> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(d, nibble_of_8(at.block + 16, Quad(first + j, at.lane)) - 8);
    }
};

// d:h[4] qh[16] qs[64]
struct Q5_0R4 : Blocks32<4, 22> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            const int high = bit(at.block[8 + q.column], run_of(q) + 4 * is_high(q));
            w[j] = times(d, nibble_of_4(at.block + 24, q) + 16 * high - 16);
        }
    }
};

// d:h[4] qh[32] qs[64]
struct Q6_0R4 : Blocks32<4, 26> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            const unsigned run = run_of(q);
            const int high =
                two_bits(at.block[8 + 16 * (run % 2) + q.column], 2 * (run / 2) + 4 * is_high(q));
            w[j] = times(d, nibble_of_4(at.block + 40, q) + 16 * high - 32);
        }
    }
};

// d:h[8] qs i8[256]
struct Q8_0R8 : Blocks32<8, 34> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            w[j] = times(d, signed_byte(at.block[16 + 32 * q.number + q.column]));
        }
    }
};

// d:h[4] qs[64]
struct Iq4NlR4 : Blocks32<4, 18> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(d, books.iq4_levels[nibble_of_4(at.block + 8, Quad(first + j, at.lane))]);
    }
};

// e:u8[8] qs[128]
struct Mxfp4R8 : Blocks32<8, 17> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const float d = half_e8m0(at.block[at.lane]);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(d, books.fp4_doubled[nibble_of_8(at.block + 8, Quad(first + j, at.lane))]);
    }
};

// row d:f; qs[64], 64 weights
struct Iq2BnR4 : Layout<4, 64, 16, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = f32_at(at.row_scale);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            w[j] = times(d, two_bits_of_4(at.block, q) - 1);
        }
    }
};

/// Pairs of bf16, row by row. The format's block is one weight; no file has a row of part of eight.
struct Bf16R16 : Layout<16, 8, 16, 0> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned, float* w, const Codebooks&) {
        for (unsigned j = 0; j < 8; ++j)
            w[j] = float_of(
                static_cast<std::uint32_t>(u16_at(at.block + 64 * (j / 2) + 4 * at.lane + 2 * (j % 2)))
                << 16);
    }
};

// row d:f; i8[8 * 32]
struct Q8KvR8 : Layout<8, 32, 32, 4> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = f32_at(at.row_scale);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            w[j] = times(d, signed_byte(at.block[32 * q.number + q.column]));
        }
    }
};

// --- 256 weights a block
// -------------------------------------------------------------------------------------------

// d:h[4] dmin:h[4] scales[64] qs[256]
struct Q2KR4 : Blocks256<4, 84> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const unsigned sub = at.block[16 + scale_number(first, at.lane)];
        const float scale = times(lane_half(at), nibble(sub, 0));
        const float min = times(half_at(at.block + 8 + 2 * at.lane), nibble(sub, 1));
        const Bytes qs = at.block + 80 + 32 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(scale, two_bits_of_4(qs, Quad(first % 32 + j, at.lane))) - min;
    }
};

// d:h[4] scales_h[16] scales_l[32] qh[128] qs[256]
struct Q3KR4 : Blocks256<4, 110> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const float scale =
            times(lane_half(at), six_bit_scale(b + 24, b + 8, scale_number(first, at.lane)) - 32);
        const Bytes qh = b + 56 + 16 * (first / 32), qs = b + 184 + 32 * (first / 32);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first % 32 + j, at.lane);
            w[j] = times(scale, two_bits_of_4(qs, q) + 4 * third_bit_of_4(qh, q) - 4);
        }
    }
};

/// Q4_K_R4 and Q5_K_R4: d:h[4] dmin:h[4] scales_h[16] scales_l[32], a scale and a min of six bits per 32
/// weights.
struct ScaleMin {
    float scale, min;
    ASSAY_HOST_DEVICE ScaleMin(const Place& at, unsigned first) {
        const unsigned n = 4 * (first / 32) + at.lane;
        const unsigned low = at.block[32 + n], high = at.block[16 + n % 16];
        scale = times(lane_half(at), nibble(low, 0) + 16 * two_bits(high, 4 * (n / 16)));
        min = times(half_at(at.block + 8 + 2 * at.lane),
                    nibble(low, 1) + 16 * two_bits(high, 4 * (n / 16) + 2));
    }
};

// as ScaleMin, then qs[512]
struct Q4KR4 : Blocks256<4, 144> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const ScaleMin s(at, first);
        const Bytes qs = at.block + 64 + 64 * (first / 32);
        for (unsigned j = 0; j < 8; ++j)
            w[j] = times(s.scale, nibble_of_4(qs, Quad(first % 32 + j, at.lane))) - s.min;
    }
};

/// Number of a quad among those whose upper bits share bytes, in Q5_K_R4 and Q6_K_R4.
ASSAY_HOST_DEVICE inline unsigned upper_place(Quad q) noexcept { return 2 * (q.number % 2) + is_high(q); }

// as ScaleMin, then qh[128] qs[512]
struct Q5KR4 : Blocks256<4, 176> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const ScaleMin s(at, first);
        const Bytes qh = at.block + 64 + 16 * (first / 32), qs = at.block + 192 + 64 * (first / 32);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first % 32 + j, at.lane);
            const int high = bit(qh[q.column], 4 * (q.number / 4) + upper_place(q));
            w[j] = times(s.scale, nibble_of_4(qs, q) + 16 * high) - s.min;
        }
    }
};

// d:h[4] scales i8[64] qh[256] ql[512]
struct Q6KR4 : Blocks256<4, 210> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const Bytes b = at.block;
        const float scale = times(lane_half(at), signed_byte(b[8 + scale_number(first, at.lane)]));
        const Bytes qh = b + 72 + 32 * (first / 32), ql = b + 328 + 64 * (first / 32);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first % 32 + j, at.lane);
            const int high = two_bits(qh[16 * (q.number / 4) + q.column], 2 * upper_place(q));
            w[j] = times(scale, nibble_of_4(ql, q) + 16 * high - 32);
        }
    }
};

// d:h[8] scales_h[16] scales_l[32] qs[1024]; a scale per 32 weights; two quads share four bytes
struct Iq4XsR8 : Blocks256<8, 136> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks& books) {
        const Bytes b = at.block;
        const float scale =
            times(lane_half(at), six_bit_scale(b + 32, b + 16, 8 * (first / 32) + at.lane) - 32);
        const Bytes qs = b + 64 + 32 * (first / 8) + 4 * at.lane;
        for (unsigned j = 0; j < 8; ++j) w[j] = times(scale, books.iq4_levels[nibble(qs[j % 4], j / 4)]);
    }
};

// d:h[8] qs i8[2048]
struct Q8KR8 : Blocks256<8, 258> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            w[j] = times(d, signed_byte(at.block[16 + 32 * q.number + q.column]));
        }
    }
};

// d:h[16] qs u8[4096], 128 above the value
struct Q8KR16 : Blocks256<16, 258> {
    ASSAY_HOST_DEVICE static void eight(const Place& at, unsigned first, float* w, const Codebooks&) {
        const float d = lane_half(at);
        for (unsigned j = 0; j < 8; ++j) {
            const Quad q(first + j, at.lane);
            w[j] = times(d, at.block[32 + 64 * q.number + q.column] - 128);
        }
    }
};

}  // namespace assay::quant
