// The vector decoders, written once over a vector type V and compiled once per instruction set: only
// decode_avx2.cpp and decode_avx512.cpp include this, each with its own V of sixteen floats.
//
// Codes become signed bytes in 128 or 256-bit registers (AVX2 has them, AVX-512 includes AVX2), sixteen at a
// time widen to floats, and then the scalar decoder's operations follow in its order, so results are equal
// bit for bit (an infinite or NaN half may differ in a NaN's payload).
//
// Everything here has internal linkage, and no header with inline code of ours is used: a shared inline
// function compiled for AVX-512 could be the copy that the linker keeps for processors without it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

#include "quant/type_table.h"

namespace assay::quant {
namespace {  // NOLINT(google-build-namespaces): see above

using Bytes = const std::uint8_t*;

__m128i load16(Bytes p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
__m256i load32(Bytes p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

template <typename T> T read_as(Bytes p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

float half(Bytes p) { return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(read_as<std::uint16_t>(p)))); }

__m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
__m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

/// The nibbles of sixteen bytes: low ones in the first half, high ones in the second.
__m256i nibbles(Bytes p) {
    const __m128i v = load16(p);
    return low_nibbles(_mm256_set_m128i(_mm_srli_epi16(v, 4), v));
}

/// Bits `shift`, `shift + 1` of every byte.
__m256i bit_pairs(__m256i v, int shift) {
    return _mm256_and_si256(_mm256_srl_epi16(v, _mm_cvtsi32_si128(shift)), _mm256_set1_epi8(3));
}

/// `value` in every byte whose bit `i` is set, else 0.
__m256i where_bit(__m256i v, int i, char value) {
    const __m256i mask = _mm256_set1_epi8(static_cast<char>(1 << i));
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(v, mask), mask), _mm256_set1_epi8(value));
}

/// 16 in byte i where bit i of `bits` is set, else 0.
__m256i fifth_bits(std::uint32_t bits) {
    const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), byte_of);
    const __m256i mask = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, mask), mask), _mm256_set1_epi8(16));
}

/// Looks thirty-two 4-bit codes up in a table of sixteen bytes.
__m256i look_up(__m128i table, __m256i codes) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), codes);
}

__m128i iq4_levels() {
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

__m128i fp4_doubled() { return _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12); }

/// Q4_K and Q5_K: eight 6-bit scales in bytes 0..7, eight mins in bytes 8..15; see scale_min() in
/// decode_k.cpp.
__m128i scales_and_mins(Bytes b) {
    const auto first = read_as<std::uint32_t>(b);
    const auto middle = read_as<std::uint32_t>(b + 4);
    const auto last = read_as<std::uint32_t>(b + 8);
    constexpr std::uint32_t kSix = 0x3f3f3f3f;
    constexpr std::uint32_t kUpperTwo = 0x30303030;
    constexpr std::uint32_t kNibble = 0x0f0f0f0f;
    return _mm_setr_epi32(
        static_cast<int>(first & kSix), static_cast<int>((last & kNibble) | (first >> 2 & kUpperTwo)),
        static_cast<int>(middle & kSix), static_cast<int>((last >> 4 & kNibble) | (middle >> 2 & kUpperTwo)));
}

/// Q3_K: sixteen 6-bit scales, less 32.
__m128i q3_k_scales(Bytes b) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b));
    const __m128i nibble = _mm_and_si128(_mm_unpacklo_epi64(low, _mm_srli_epi16(low, 4)), _mm_set1_epi8(15));
    const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(read_as<int>(b + 8)), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i upper = _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4);
    return _mm_sub_epi8(_mm_or_si128(nibble, upper), _mm_set1_epi8(32));
}

/// V: struct Floats of sixteen; broadcast, from_i8, from_half, from_bf16, mul, add, sub, store.
template <class V> struct SimdDecoders {
    using Floats = typename V::Floats;

    static __m128i lower(__m256i v) { return _mm256_castsi256_si128(v); }
    static __m128i upper(__m256i v) { return _mm256_extracti128_si256(v, 1); }

    /// out = scale * codes, sixteen or thirty-two of them
    static void scaled(__m128i codes, float scale, float* out) {
        V::store(out, V::mul(V::broadcast(scale), V::from_i8(codes)));
    }
    static void scaled(__m256i codes, float scale, float* out) {
        scaled(lower(codes), scale, out);
        scaled(upper(codes), scale, out + 16);
    }
    /// out = scale * codes + offset
    static void shifted_up(__m256i codes, float scale, float offset, float* out) {
        const Floats d = V::broadcast(scale);
        const Floats m = V::broadcast(offset);
        V::store(out, V::add(V::mul(d, V::from_i8(lower(codes))), m));
        V::store(out + 16, V::add(V::mul(d, V::from_i8(upper(codes))), m));
    }
    /// out = scale * codes - min
    static void shifted_down(__m128i codes, float scale, float min, float* out) {
        V::store(out, V::sub(V::mul(V::broadcast(scale), V::from_i8(codes)), V::broadcast(min)));
    }
    static void shifted_down(__m256i codes, float scale, float min, float* out) {
        shifted_down(lower(codes), scale, min, out);
        shifted_down(upper(codes), scale, min, out + 16);
    }

    static void q4_0(Bytes b, float* out) {
        scaled(_mm256_sub_epi8(nibbles(b + 2), _mm256_set1_epi8(8)), half(b), out);
    }
    static void q4_1(Bytes b, float* out) { shifted_up(nibbles(b + 4), half(b), half(b + 2), out); }
    static void q5_0(Bytes b, float* out) {
        const __m256i q = _mm256_or_si256(nibbles(b + 6), fifth_bits(read_as<std::uint32_t>(b + 2)));
        scaled(_mm256_sub_epi8(q, _mm256_set1_epi8(16)), half(b), out);
    }
    static void q5_1(Bytes b, float* out) {
        const __m256i q = _mm256_or_si256(nibbles(b + 8), fifth_bits(read_as<std::uint32_t>(b + 4)));
        shifted_up(q, half(b), half(b + 2), out);
    }
    static void q8_0(Bytes b, float* out) { scaled(load32(b + 2), half(b), out); }
    static void iq4_nl(Bytes b, float* out) { scaled(look_up(iq4_levels(), nibbles(b + 2)), half(b), out); }

    static void mxfp4(Bytes b, float* out) {
        const std::uint32_t bits = b[0] < 2 ? 0x00200000u << b[0] : (b[0] - 1u) << 23;  // 2^(e - 128)
        float d;
        std::memcpy(&d, &bits, sizeof d);
        scaled(look_up(fp4_doubled(), nibbles(b + 1)), d, out);
    }

    static void q2_k(Bytes b, float* out) {
        const __m128i both = load16(b);
        const __m128i fifteen = _mm_set1_epi8(15);
        float scale[16];
        float min[16];
        scaled(_mm_and_si128(both, fifteen), half(b + 80), scale);
        scaled(_mm_and_si128(_mm_srli_epi16(both, 4), fifteen), half(b + 82), min);
        for (int run = 0; run < 8; ++run) {
            const __m256i q = bit_pairs(load32(b + 16 + 32 * (run / 4)), 2 * (run % 4));
            shifted_down(lower(q), scale[2 * run], min[2 * run], out + 32 * run);
            shifted_down(upper(q), scale[2 * run + 1], min[2 * run + 1], out + 32 * run + 16);
        }
    }

    static void q3_k(Bytes b, float* out) {
        float scale[16];
        scaled(q3_k_scales(b + 96), half(b + 108), scale);
        const __m256i hmask = load32(b);
        for (int run = 0; run < 8; ++run) {
            const __m256i low = bit_pairs(load32(b + 32 + 32 * (run / 4)), 2 * (run % 4));
            const __m256i q =
                _mm256_sub_epi8(_mm256_or_si256(low, where_bit(hmask, run, 4)), _mm256_set1_epi8(4));
            scaled(lower(q), scale[2 * run], out + 32 * run);
            scaled(upper(q), scale[2 * run + 1], out + 32 * run + 16);
        }
    }

    static void q4_k(Bytes b, float* out) {
        const __m128i both = scales_and_mins(b + 4);
        float scale[16];  // eight used
        float min[16];
        scaled(both, half(b), scale);
        scaled(_mm_unpackhi_epi64(both, both), half(b + 2), min);
        for (int pair = 0; pair < 4; ++pair, out += 64) {
            const __m256i qs = load32(b + 16 + 32 * pair);
            shifted_down(low_nibbles(qs), scale[2 * pair], min[2 * pair], out);
            shifted_down(high_nibbles(qs), scale[2 * pair + 1], min[2 * pair + 1], out + 32);
        }
    }

    static void q5_k(Bytes b, float* out) {
        const __m128i both = scales_and_mins(b + 4);
        float scale[16];  // eight used
        float min[16];
        scaled(both, half(b), scale);
        scaled(_mm_unpackhi_epi64(both, both), half(b + 2), min);
        const __m256i qh = load32(b + 16);
        for (int pair = 0; pair < 4; ++pair, out += 64) {
            const __m256i qs = load32(b + 48 + 32 * pair);
            const __m256i first = _mm256_or_si256(low_nibbles(qs), where_bit(qh, 2 * pair, 16));
            const __m256i second = _mm256_or_si256(high_nibbles(qs), where_bit(qh, 2 * pair + 1, 16));
            shifted_down(first, scale[2 * pair], min[2 * pair], out);
            shifted_down(second, scale[2 * pair + 1], min[2 * pair + 1], out + 32);
        }
    }

    static void q6_k(Bytes b, float* out) {
        float scale[16];
        scaled(load16(b + 192), half(b + 208), scale);
        for (int n = 0; n < 2; ++n) {
            const __m256i ql[2] = {load32(b + 64 * n), load32(b + 64 * n + 32)};
            const __m256i qh = load32(b + 128 + 32 * n);
            for (int run = 0; run < 4; ++run, out += 32) {
                const __m256i low = run < 2 ? low_nibbles(ql[run % 2]) : high_nibbles(ql[run % 2]);
                const __m256i high = _mm256_slli_epi16(bit_pairs(qh, 2 * run), 4);
                const __m256i q = _mm256_sub_epi8(_mm256_or_si256(low, high), _mm256_set1_epi8(32));
                scaled(lower(q), scale[8 * n + 2 * run], out);
                scaled(upper(q), scale[8 * n + 2 * run + 1], out + 16);
            }
        }
    }

    static void iq4_xs(Bytes b, float* out) {
        const float d = half(b);
        const unsigned high = read_as<std::uint16_t>(b + 2);
        const auto low = read_as<std::uint32_t>(b + 4);
        for (unsigned k = 0; k < 8; ++k) {
            const auto scale = static_cast<int>((low >> 4 * k & 15u) | (high >> 2 * k & 3u) << 4) - 32;
            scaled(look_up(iq4_levels(), nibbles(b + 8 + 16 * k)), d * static_cast<float>(scale),
                   out + 32 * k);
        }
    }

    static void f16(const std::byte* row, std::size_t n, float* out) {
        const auto* p = reinterpret_cast<Bytes>(row);
        std::size_t i = 0;
        for (; i + 16 <= n; i += 16) V::store(out + i, V::from_half(load32(p + 2 * i)));
        for (; i < n; ++i) out[i] = half(p + 2 * i);
    }

    static void bf16(const std::byte* row, std::size_t n, float* out) {
        const auto* p = reinterpret_cast<Bytes>(row);
        std::size_t i = 0;
        for (; i + 16 <= n; i += 16) V::store(out + i, V::from_bf16(load32(p + 2 * i)));
        for (; i < n; ++i) {
            const std::uint32_t bits = static_cast<std::uint32_t>(read_as<std::uint16_t>(p + 2 * i)) << 16;
            std::memcpy(out + i, &bits, sizeof bits);
        }
    }

    template <std::size_t kWeights, std::size_t kBytes, void (*kBlock)(Bytes, float*)>
    static void blocks(const std::byte* row, std::size_t n, float* out) {
        const auto* block = reinterpret_cast<Bytes>(row);
        for (std::size_t done = 0; done < n; done += kWeights, block += kBytes) kBlock(block, out + done);
    }

    /// nullptr for types without a vector decoder.
    static DecodeRows find(TypeId id) {
        switch (id) {
            case TypeId::F16: return f16;
            case TypeId::BF16: return bf16;
            case TypeId::Q4_0: return blocks<32, 18, q4_0>;
            case TypeId::Q4_1: return blocks<32, 20, q4_1>;
            case TypeId::Q5_0: return blocks<32, 22, q5_0>;
            case TypeId::Q5_1: return blocks<32, 24, q5_1>;
            case TypeId::Q8_0: return blocks<32, 34, q8_0>;
            case TypeId::IQ4_NL: return blocks<32, 18, iq4_nl>;
            case TypeId::MXFP4: return blocks<32, 17, mxfp4>;
            case TypeId::Q2_K: return blocks<256, 84, q2_k>;
            case TypeId::Q3_K: return blocks<256, 110, q3_k>;
            case TypeId::Q4_K: return blocks<256, 144, q4_k>;
            case TypeId::Q5_K: return blocks<256, 176, q5_k>;
            case TypeId::Q6_K: return blocks<256, 210, q6_k>;
            case TypeId::IQ4_XS: return blocks<256, 136, iq4_xs>;
            default: return nullptr;
        }
    }
};

}  // namespace
}  // namespace assay::quant
