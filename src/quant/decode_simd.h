// Vector decoders of the plain, the 32-weight and the K types, and the list of all. See decode_simd_ops.h.
#pragma once

#include "quant/decode_simd_ik.h"
#include "quant/decode_simd_interleaved.h"
#include "quant/decode_simd_iq.h"
#include "quant/decode_simd_ops.h"

namespace assay::quant {
namespace {  // NOLINT(google-build-namespaces): see decode_simd_ops.h

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

template <class V> struct SimdDecoders : SimdOps<V> {
    using Ops = SimdOps<V>;
    using Ops::lower, Ops::upper, Ops::scaled, Ops::shifted_up, Ops::shifted_down;
    using Iq = SimdIq<V>;
    using Ik = SimdIk<V>;
    using Rn = SimdInterleaved<V>;

    static void q4_0(Bytes b, float* out) {
        scaled(_mm256_sub_epi8(nibbles(b + 2), _mm256_set1_epi8(8)), half(b), out);
    }
    static void q4_1(Bytes b, float* out) { shifted_up(nibbles(b + 4), half(b), half(b + 2), out); }
    static void q5_0(Bytes b, float* out) {
        const __m256i q = _mm256_or_si256(nibbles(b + 6), where_bits(read_as<std::uint32_t>(b + 2), 16));
        scaled(_mm256_sub_epi8(q, _mm256_set1_epi8(16)), half(b), out);
    }
    static void q5_1(Bytes b, float* out) {
        const __m256i q = _mm256_or_si256(nibbles(b + 8), where_bits(read_as<std::uint32_t>(b + 4), 16));
        shifted_up(q, half(b), half(b + 2), out);
    }
    static void q8_0(Bytes b, float* out) { scaled(load32(b + 2), half(b), out); }
    static void iq4_nl(Bytes b, float* out) { scaled(look_up(iq4_levels(), nibbles(b + 2)), half(b), out); }

    static void mxfp4(Bytes b, float* out) {
        scaled(look_up(fp4_doubled(), nibbles(b + 1)), half_e8m0_of(b[0]), out);
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

    /// nullptr for types without a vector decoder.
    static DecodeRows find(TypeId id) {
        switch (id) {
            case TypeId::F16: return f16;
            case TypeId::BF16: return bf16;
            case TypeId::Q4_0: return Ops::template blocks<32, 18, q4_0>;
            case TypeId::Q4_1: return Ops::template blocks<32, 20, q4_1>;
            case TypeId::Q5_0: return Ops::template blocks<32, 22, q5_0>;
            case TypeId::Q5_1: return Ops::template blocks<32, 24, q5_1>;
            case TypeId::Q8_0: return Ops::template blocks<32, 34, q8_0>;
            case TypeId::IQ4_NL: return Ops::template blocks<32, 18, iq4_nl>;
            case TypeId::MXFP4: return Ops::template blocks<32, 17, mxfp4>;
            case TypeId::Q2_K: return Ops::template blocks<256, 84, q2_k>;
            case TypeId::Q3_K: return Ops::template blocks<256, 110, q3_k>;
            case TypeId::Q4_K: return Ops::template blocks<256, 144, q4_k>;
            case TypeId::Q5_K: return Ops::template blocks<256, 176, q5_k>;
            case TypeId::Q6_K: return Ops::template blocks<256, 210, q6_k>;
            case TypeId::IQ4_XS: return Ops::template blocks<256, 136, iq4_xs>;
            case TypeId::IQ1_S: return Ops::template blocks<256, 50, Iq::iq1_s>;
            case TypeId::IQ1_M: return Ops::template blocks<256, 56, Iq::iq1_m>;
            case TypeId::IQ2_XXS: return Ops::template blocks<256, 66, Iq::iq2_xxs>;
            case TypeId::IQ2_XS: return Ops::template blocks<256, 74, Iq::iq2_xs>;
            case TypeId::IQ2_S: return Ops::template blocks<256, 82, Iq::iq2_s>;
            case TypeId::IQ3_XXS: return Ops::template blocks<256, 98, Iq::iq3_xxs>;
            case TypeId::IQ3_S: return Ops::template blocks<256, 110, Iq::iq3_s>;
            case TypeId::NVFP4: return Ops::template blocks<64, 36, Iq::nvfp4>;
            case TypeId::Q6_0: return Ops::template blocks<32, 26, Ik::q6_0>;
            case TypeId::IQ2_K: return Ops::template blocks<256, 76, Ik::iq2_k>;
            case TypeId::IQ3_K: return Ops::template blocks<256, 110, Ik::iq3_k>;
            case TypeId::IQ4_K: return Ops::template blocks<256, 144, Ik::iq4_k>;
            case TypeId::IQ5_K: return Ops::template blocks<256, 176, Ik::iq5_k>;
            case TypeId::IQ6_K: return Ops::template blocks<256, 212, Ik::iq6_k>;
            case TypeId::IQ2_KS: return Ops::template scaled_blocks<2, 70, Ik::iq2_ks>;
            case TypeId::IQ2_KL: return Ops::template scaled_blocks<2, 86, Ik::iq2_kl>;
            case TypeId::IQ3_KS: return Ops::template scaled_blocks<2, 102, Ik::iq3_ks>;
            case TypeId::IQ4_KS: return Ops::template scaled_blocks<4, 136, Ik::iq4_ks>;
            case TypeId::IQ4_KSS: return Ops::template scaled_blocks<4, 128, Ik::iq4_kss>;
            case TypeId::IQ5_KS: return Ops::template scaled_blocks<4, 168, Ik::iq5_ks>;
            case TypeId::IQ1_KT: return Ops::template scaled_blocks<4, 56, Ik::iq1_kt>;
            case TypeId::IQ2_KT: return Ops::template scaled_blocks<4, 68, Ik::iq2_kt>;
            case TypeId::IQ3_KT: return Ops::template scaled_blocks<4, 100, Ik::iq3_kt>;
            case TypeId::IQ4_KT: return Ops::template scaled_blocks<4, 128, Ik::iq4_kt>;
            case TypeId::Q4_0_R8: return Rn::template groups<8, 32, 18, 0, Rn::q4_0_r8>;
            case TypeId::Q5_0_R4: return Rn::template groups<4, 32, 22, 0, Rn::q5_0_r4>;
            case TypeId::Q8_0_R8: return Rn::template groups<8, 32, 34, 0, Rn::q8_0_r8>;
            case TypeId::Q2_K_R4: return Rn::template groups<4, 256, 84, 0, Rn::q2_k_r4>;
            case TypeId::Q3_K_R4: return Rn::template groups<4, 256, 110, 0, Rn::q3_k_r4>;
            case TypeId::Q4_K_R4: return Rn::template groups<4, 256, 144, 0, Rn::q4_k_r4>;
            case TypeId::Q5_K_R4: return Rn::template groups<4, 256, 176, 0, Rn::q5_k_r4>;
            case TypeId::Q6_K_R4: return Rn::template groups<4, 256, 210, 0, Rn::q6_k_r4>;
            case TypeId::IQ4_NL_R4: return Rn::template groups<4, 32, 18, 0, Rn::iq4_nl_r4>;
            case TypeId::IQ4_XS_R8: return Rn::template groups<8, 256, 136, 0, Rn::iq4_xs_r8>;
            case TypeId::Q6_0_R4: return Rn::template groups<4, 32, 26, 0, Rn::q6_0_r4>;
            case TypeId::IQ2_K_R4: return Rn::template groups<4, 256, 76, 0, Rn::iq2_k_r4>;
            case TypeId::IQ3_K_R4: return Rn::template groups<4, 256, 110, 0, Rn::iq3_k_r4>;
            case TypeId::IQ4_K_R4: return Rn::template groups<4, 256, 144, 0, Rn::iq4_k_r4>;
            case TypeId::IQ5_K_R4: return Rn::template groups<4, 256, 176, 0, Rn::iq5_k_r4>;
            case TypeId::IQ4_KS_R4: return Rn::template groups<4, 256, 136, 4, Rn::iq4_ks_r4>;
            case TypeId::IQ5_KS_R4: return Rn::template groups<4, 256, 168, 4, Rn::iq5_ks_r4>;
            case TypeId::MXFP4_R8: return Rn::template groups<8, 32, 17, 0, Rn::mxfp4_r8>;
            case TypeId::Q8_K_R16: return Rn::template groups<16, 256, 258, 0, Rn::q8_k_r16>;
            case TypeId::Q8_KV_R8: return Rn::template groups<8, 32, 32, 4, Rn::q8_kv_r8>;
            case TypeId::Q8_K_R8: return Rn::template groups<8, 256, 258, 0, Rn::q8_k_r8>;
            default: return nullptr;
        }
    }
};

}  // namespace
}  // namespace assay::quant
