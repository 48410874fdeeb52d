// One struct per block format: kWeights weights in kBytes bytes, and eight() decodes weights first .. first+7
// of a block (first a multiple of 8). Formulas and the order of operations are those of
// src/quant/decode_*.cpp, which the tests compare bit for bit.
#pragma once

#include <cstdint>

#include "backend/cuda/decode.h"
#include "quant/block_bits.h"

namespace assay::backend::cuda {

using quant::bit;
using quant::Bytes;
using quant::half_at;
using quant::nibble;
using quant::two_bits;
using quant::u16_at;
using quant::u32_at;

__device__ inline float signed_byte(unsigned byte) { return static_cast<float>(quant::signed_byte(byte)); }
__device__ inline unsigned even_signs(unsigned seven_bits) {
    return seven_bits | (__popc(seven_bits) & 1u) << 7;
}

__constant__ std::int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};
__constant__ std::int8_t kFp4Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// --- 32 weights around one scale ---------------------------------------------------------------------------

/// Byte j holds weight j in its low nibble and weight j + 16 in its high one.
__device__ inline int nibble_of(Bytes qs, int i) { return nibble(qs[i & 15], i >> 4); }

struct Q4_0 {
    static constexpr int kWeights = 32, kBytes = 18;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b);
        for (int j = 0; j < 8; ++j) w[j] = d * static_cast<float>(nibble_of(b + 2, first + j) - 8);
    }
};

struct Q4_1 {
    static constexpr int kWeights = 32, kBytes = 20;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b), m = half_at(b + 2);
        for (int j = 0; j < 8; ++j) w[j] = d * static_cast<float>(nibble_of(b + 4, first + j)) + m;
    }
};

struct Q5_0 {
    static constexpr int kWeights = 32, kBytes = 22;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b);
        const unsigned high = u32_at(b + 2);
        for (int j = 0; j < 8; ++j) {
            const int i = first + j;
            w[j] = d * static_cast<float>(nibble_of(b + 6, i) + 16 * bit(high, i) - 16);
        }
    }
};

struct Q5_1 {
    static constexpr int kWeights = 32, kBytes = 24;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b), m = half_at(b + 2);
        const unsigned high = u32_at(b + 4);
        for (int j = 0; j < 8; ++j) {
            const int i = first + j;
            w[j] = d * static_cast<float>(nibble_of(b + 8, i) + 16 * bit(high, i)) + m;
        }
    }
};

template <int kHeader> struct Q8 {
    static constexpr int kWeights = 32, kBytes = 32 + kHeader;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b);
        for (int j = 0; j < 8; ++j) w[j] = d * signed_byte(b[kHeader + first + j]);
    }
};
using Q8_0 = Q8<2>;
using Q8_1 = Q8<4>;

struct Iq4Nl {
    static constexpr int kWeights = 32, kBytes = 18;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b);
        for (int j = 0; j < 8; ++j) w[j] = d * static_cast<float>(kIq4Levels[nibble_of(b + 2, first + j)]);
    }
};

struct Mxfp4 {
    static constexpr int kWeights = 32, kBytes = 17;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = quant::half_e8m0(b[0]);
        for (int j = 0; j < 8; ++j) w[j] = d * static_cast<float>(kFp4Doubled[nibble_of(b + 1, first + j)]);
    }
};

struct Nvfp4 {
    static constexpr int kWeights = 64, kBytes = 36;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = quant::half_ue4m3(b[first / 16]);
        const Bytes qs = b + 4 + 8 * (first / 16);
        for (int j = 0; j < 8; ++j) w[j] = d * static_cast<float>(kFp4Doubled[nibble(qs[j], first / 8 % 2)]);
    }
};

// --- few levels -------------------------------------------------------------------------------------------

struct Q1_0 {
    static constexpr int kWeights = 128, kBytes = 18;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b);
        const unsigned bits = b[2 + first / 8];
        for (int j = 0; j < 8; ++j) w[j] = bit(bits, j) ? d : -d;
    }
};

struct Q2_0 {
    static constexpr int kWeights = 64, kBytes = 18;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b);
        const unsigned bits = u16_at(b + 2 + first / 4);
        for (int j = 0; j < 8; ++j) w[j] = d * static_cast<float>(two_bits(bits, 2 * j) - 1);
    }
};

struct Tq1_0 {
    static constexpr int kWeights = 256, kBytes = 54;
    /// Trit n of a byte that holds a base-3 fraction scaled by 256, less one.
    __device__ static float trit(unsigned byte, int n) {
        constexpr unsigned kPowers[5] = {1, 3, 9, 27, 81};
        unsigned power = kPowers[0];
        for (int k = 1; k < 5; ++k) power = n == k ? kPowers[k] : power;
        return static_cast<float>(static_cast<int>((byte * power & 255u) * 3 >> 8) - 1);
    }
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b + 52);
        for (int j = 0; j < 8; ++j) {
            const int i = first + j;
            if (i < 160)
                w[j] = d * trit(b[i % 32], i / 32);
            else if (i < 240)
                w[j] = d * trit(b[32 + (i - 160) % 16], (i - 160) / 16);
            else
                w[j] = d * trit(b[48 + (i - 240) % 4], (i - 240) / 4);
        }
    }
};

struct Tq2_0 {
    static constexpr int kWeights = 256, kBytes = 66;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = half_at(b + 64);
        for (int j = 0; j < 8; ++j) {
            const int i = first + j;
            w[j] = d * static_cast<float>(two_bits(b[32 * (i / 128) + i % 32], 2 * (i / 32 % 4)) - 1);
        }
    }
};

// --- K: 256 weights with quantised scales -----------------------------------------------------------------

struct Q2K {
    static constexpr int kWeights = 256, kBytes = 84;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const unsigned sub = b[first / 16];
        const float scale = half_at(b + 80) * static_cast<float>(nibble(sub, 0));
        const float min = half_at(b + 82) * static_cast<float>(nibble(sub, 1));
        const Bytes qs = b + 16 + 32 * (first / 128) + first % 32;
        for (int j = 0; j < 8; ++j)
            w[j] = scale * static_cast<float>(two_bits(qs[j], 2 * (first / 32 % 4))) - min;
    }
};

struct Q3K {
    static constexpr int kWeights = 256, kBytes = 110;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const int k = first / 16;
        const Bytes scales = b + 96;
        const int low = nibble(scales[k % 8], k / 8);
        const int sub = low + 16 * two_bits(scales[8 + k % 4], 2 * (k / 4)) - 32;
        const float scale = half_at(b + 108) * static_cast<float>(sub);
        const int run = first / 32;  // bit of hmask; its pair within the half is run % 4
        const Bytes qs = b + 32 + 32 * (first / 128) + first % 32;
        const Bytes high = b + first % 32;
        for (int j = 0; j < 8; ++j) {
            const int q = two_bits(qs[j], 2 * (run % 4)) - (bit(high[j], run) ? 0 : 4);
            w[j] = scale * static_cast<float>(q);
        }
    }
};

/// Scale and min number k of Q4_K and Q5_K, six bits each.
__device__ inline void scale_min(Bytes s, int k, float& scale, float& min) {
    const int low = k & 3;
    const unsigned sc = k < 4 ? s[low] & 63u : (s[low + 8] & 15u) | (s[low] >> 6) << 4;
    const unsigned mn = k < 4 ? s[low + 4] & 63u : s[low + 8] >> 4 | (s[low + 4] >> 6) << 4;
    scale = static_cast<float>(sc);
    min = static_cast<float>(mn);
}

struct Q4K {
    static constexpr int kWeights = 256, kBytes = 144;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const int k = first / 32;
        float sub_scale, sub_min;
        scale_min(b + 4, k, sub_scale, sub_min);
        const float scale = half_at(b) * sub_scale, min = half_at(b + 2) * sub_min;
        const Bytes qs = b + 16 + 32 * (k / 2) + first % 32;
        for (int j = 0; j < 8; ++j) w[j] = scale * static_cast<float>(nibble(qs[j], k % 2)) - min;
    }
};

struct Q5K {
    static constexpr int kWeights = 256, kBytes = 176;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const int k = first / 32;
        float sub_scale, sub_min;
        scale_min(b + 4, k, sub_scale, sub_min);
        const float scale = half_at(b) * sub_scale, min = half_at(b + 2) * sub_min;
        const Bytes qs = b + 48 + 32 * (k / 2) + first % 32;
        const Bytes qh = b + 16 + first % 32;
        for (int j = 0; j < 8; ++j)
            w[j] = scale * static_cast<float>(nibble(qs[j], k % 2) + 16 * bit(qh[j], k)) - min;
    }
};

struct Q6K {
    static constexpr int kWeights = 256, kBytes = 210;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const int half = first / 128, run = first / 32 % 4;
        const float scale = half_at(b + 208) * signed_byte(b[192 + first / 16]);
        const Bytes ql = b + 64 * half + 32 * (run % 2) + first % 32;
        const Bytes qh = b + 128 + 32 * half + first % 32;
        for (int j = 0; j < 8; ++j) {
            const int q = nibble(ql[j], run / 2) + 16 * two_bits(qh[j], 2 * run) - 32;
            w[j] = scale * static_cast<float>(q);
        }
    }
};

struct Q8K {
    static constexpr int kWeights = 256, kBytes = 292;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const float d = quant::f32_at(b);
        for (int j = 0; j < 8; ++j) w[j] = d * signed_byte(b[4 + first + j]);
    }
};

// --- IQ: points of a codebook ------------------------------------------------------------------------------

__device__ inline void signed_point(const std::int8_t* point, int n, float scale, unsigned signs, float* w) {
    for (int j = 0; j < n; ++j) {
        const float magnitude = scale * static_cast<float>(point[j]);
        w[j] = bit(signs, j) ? -magnitude : magnitude;
    }
}

__device__ inline float quarter_steps(float d, int s) { return d * (0.5f + static_cast<float>(s)) * 0.25f; }

struct Iq2Xxs {
    static constexpr int kWeights = 256, kBytes = 66;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const Bytes g = b + 2 + 8 * (first / 32);
        const int l = first / 8 % 4;
        const unsigned packed = u32_at(g + 4);
        const float scale = quarter_steps(half_at(b), static_cast<int>(packed >> 28));
        signed_point(books.iq2_xxs + 8 * g[l], 8, scale, even_signs(packed >> 7 * l & 127u), w);
    }
};

struct Iq2Xs {
    static constexpr int kWeights = 256, kBytes = 74;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const int i = first / 8;
        const unsigned q = u16_at(b + 2 + 2 * i);
        const float scale = quarter_steps(half_at(b), nibble(b[66 + i / 4], i % 4 / 2));
        signed_point(books.iq2_xs + 8 * (q & 511u), 8, scale, even_signs(q >> 9), w);
    }
};

struct Iq2S {
    static constexpr int kWeights = 256, kBytes = 82;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const int i = first / 8;
        const unsigned index = b[2 + i] + 256u * two_bits(b[66 + i / 4], 2 * (i % 4));
        const float scale = quarter_steps(half_at(b), nibble(b[74 + i / 4], i % 4 / 2));
        signed_point(books.iq2_s + 8 * index, 8, scale, b[34 + i], w);
    }
};

struct Iq3Xxs {
    static constexpr int kWeights = 256, kBytes = 98;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const int group = first / 32, l = first / 8 % 4;
        const unsigned packed = u32_at(b + 66 + 4 * group);
        const float scale = half_at(b) * (0.5f + static_cast<float>(packed >> 28)) * 0.5f;
        const unsigned signs = even_signs(packed >> 7 * l & 127u);
        const Bytes qs = b + 2 + first / 4;
        signed_point(books.iq3_xxs + 4 * qs[0], 4, scale, signs, w);
        signed_point(books.iq3_xxs + 4 * qs[1], 4, scale, signs >> 4, w + 4);
    }
};

struct Iq3S {
    static constexpr int kWeights = 256, kBytes = 110;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const int group = first / 32, e = first / 4 % 8;
        const float scale = half_at(b) * static_cast<float>(1 + 2 * nibble(b[106 + group / 2], group % 2));
        const Bytes qs = b + 2 + first / 4;
        const unsigned high = b[66 + group], signs = b[74 + first / 8];
        signed_point(books.iq3_s + 4 * (qs[0] + 256u * bit(high, e)), 4, scale, signs, w);
        signed_point(books.iq3_s + 4 * (qs[1] + 256u * bit(high, e + 1)), 4, scale, signs >> 4, w + 4);
    }
};

__device__ inline void shifted_point(const std::int8_t* point, float scale, bool down, float* w) {
    const float delta = down ? -0.125f : 0.125f;
    for (int j = 0; j < 8; ++j) w[j] = scale * (static_cast<float>(point[j]) + delta);
}

struct Iq1S {
    static constexpr int kWeights = 256, kBytes = 50;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const int l = first / 8 % 4;
        const unsigned high = u16_at(b + 34 + 2 * (first / 32));
        const float scale = half_at(b) * static_cast<float>(2 * (high >> 12 & 7u) + 1);
        const unsigned index = b[2 + first / 8] + 256u * (high >> 3 * l & 7u);
        shifted_point(books.iq1 + 8 * index, scale, bit(high, 15) != 0, w);
    }
};

struct Iq1M {
    static constexpr int kWeights = 256, kBytes = 56;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks& books) {
        const int i = first / 8, sub = first / 16;
        unsigned d = 0;
        for (int k = 0; k < 4; ++k) d |= (u16_at(b + 48 + 2 * k) >> 12) << 4 * k;
        const unsigned three_bits = u16_at(b + 48 + 2 * (sub / 4)) >> 3 * (sub % 4) & 7u;
        const float scale = quant::half_of(d) * static_cast<float>(2 * three_bits + 1);
        const unsigned high = nibble(b[32 + sub], i % 2);
        shifted_point(books.iq1 + 8 * (b[i] + 256u * (high & 7u)), scale, (high & 8u) != 0, w);
    }
};

struct Iq4Xs {
    static constexpr int kWeights = 256, kBytes = 136;
    __device__ static void eight(Bytes b, int first, float* w, const Codebooks&) {
        const int k = first / 32;
        const int sub = nibble(b[4 + k / 2], k % 2) + 16 * two_bits(u16_at(b + 2), 2 * k) - 32;
        const float scale = half_at(b) * static_cast<float>(sub);
        for (int j = 0; j < 8; ++j)
            w[j] = scale * static_cast<float>(kIq4Levels[nibble_of(b + 8 + 16 * k, first % 32 + j)]);
    }
};

}  // namespace assay::backend::cuda
