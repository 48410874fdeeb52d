// Vector decoders of ik_llama.cpp's types; layouts and formulas in ik_blocks.h. See decode_simd_ops.h.
#pragma once

#include "quant/decode_simd_ops.h"

namespace assay::quant {
namespace {  // NOLINT(google-build-namespaces): see decode_simd_ops.h

// The levels of codebooks.h.
__m128i ik2_levels() { return _mm_setr_epi8(-31, -13, 1, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); }
__m128i ik3_levels() { return _mm_setr_epi8(-63, -40, -23, -10, 1, 13, 28, 47, 0, 0, 0, 0, 0, 0, 0, 0); }
__m128i ik5_lower() {
    return _mm_setr_epi8(-126, -114, -103, -92, -83, -74, -65, -57, -50, -43, -36, -30, -24, -18, -12, -6);
}
__m128i ik5_upper() { return _mm_setr_epi8(-1, 5, 11, 17, 23, 29, 36, 43, 51, 59, 68, 77, 87, 97, 109, 121); }
__m128i pairs_first_lower() {
    return _mm_setr_epi8(-63, -63, -40, -40, -40, -40, -23, -23, -23, -23, -23, -10, -10, -10, -10, 1);
}
__m128i pairs_first_upper() {
    return _mm_setr_epi8(1, 1, 1, 1, 13, 13, 13, 13, 13, 28, 28, 28, 28, 28, 47, 47);
}
__m128i pairs_second_lower() {
    return _mm_setr_epi8(-23, 13, -63, -10, 13, 47, -40, -23, 1, 13, 28, -63, 1, 13, 47, -23);
}
__m128i pairs_second_upper() {
    return _mm_setr_epi8(-10, 1, 13, 28, -40, -23, -10, 1, 13, -63, -23, 1, 28, 47, -23, 13);
}

/// Looks 5-bit codes up in a table of two halves.
__m128i look_up_5(__m128i lower, __m128i upper, __m128i codes) {
    return _mm_blendv_epi8(_mm_shuffle_epi8(lower, codes), _mm_shuffle_epi8(upper, codes),
                           _mm_slli_epi16(codes, 3));
}
__m256i ik5_values(__m256i codes) {
    return _mm256_blendv_epi8(look_up(ik5_lower(), codes), look_up(ik5_upper(), codes),
                              _mm256_slli_epi16(codes, 3));
}

/// Sixteen nibbles of eight bytes, low one first.
__m128i nibbles_in_order(Bytes p) {
    const __m128i v = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm_and_si128(_mm_unpacklo_epi8(v, _mm_srli_epi16(v, 4)), _mm_set1_epi8(15));
}

/// IQ4_K and IQ5_K: sixteen 6-bit scales less 32, pairs of upper bits in four bytes before the nibbles.
__m128i six_bit_scales(Bytes b) {
    const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(read_as<int>(b)), _mm_setr_epi32(0, 2, 4, 6));
    const __m128i in_order =
        _mm_shuffle_epi8(_mm_and_si128(high, _mm_set1_epi8(3)),
                         _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    return _mm_sub_epi8(_mm_or_si128(nibbles_in_order(b + 4), _mm_slli_epi16(in_order, 4)),
                        _mm_set1_epi8(32));
}

/// `shift` in each half of 32 bytes whose bit, number `first` or the next one, is set.
__m256i shift_halves(unsigned bits, unsigned first, int shift) {
    const auto byte = [&](unsigned i) { return static_cast<char>(bits >> i & 1u ? shift : 0); };
    return _mm256_set_m128i(_mm_set1_epi8(byte(first + 1)), _mm_set1_epi8(byte(first)));
}
__m256i shift_all(unsigned bit, int shift) {
    return _mm256_set1_epi8(static_cast<char>(bit & 1u ? shift : 0));
}

/// Powers 1 to 8 of the trellis generator's factor 0xcbac1fed, modulo 2^32.
constexpr std::uint32_t power_of_factor(int n) { return n == 0 ? 1u : 0xcbac1fedu * power_of_factor(n - 1); }
template <int... kPowers> __m256i trellis_factors() {
    return _mm256_setr_epi32(static_cast<int>(power_of_factor(kPowers))...);
}
/// Values of the states start * factor.
__m256i trellis(__m256i start, __m256i factors) {
    const __m256i six = _mm256_and_si256(_mm256_mullo_epi32(start, factors), _mm256_set1_epi32(0x3f3f3f3f));
    const __m256i sum = _mm256_srli_epi32(_mm256_mullo_epi32(six, _mm256_set1_epi32(0x01010101)), 24);
    return _mm256_sub_epi32(sum, _mm256_set1_epi32(126));
}
__m256i trellis_8(unsigned start) {
    return trellis(_mm256_set1_epi32(static_cast<int>(start + 4096)),
                   trellis_factors<1, 2, 3, 4, 5, 6, 7, 8>());
}

template <class V> struct SimdIk : SimdOps<V> {
    using Ops = SimdOps<V>;
    using Ops::lower, Ops::upper, Ops::scaled;

    static void scaled_halves(__m256i values, const float* two_scales, float* out) {
        scaled(lower(values), two_scales[0], out);
        scaled(upper(values), two_scales[1], out + 16);
    }
    static void scaled(__m256i first, __m256i second, float scale, float* out) {
        V::store(out, V::mul(V::broadcast(scale), V::from_i32(first, second)));
    }
    static float level(unsigned code) {  // of IQ4_NL
        constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113};
        return kLevels[code];
    }

    static void iq2_k(Bytes b, float* out) {
        float scale[16];
        scaled(_mm_sub_epi8(nibbles_in_order(b + 4), _mm_set1_epi8(8)), half(b), scale);
        const unsigned extra = read_as<std::uint16_t>(b + 2);
        for (unsigned run = 0; run < 8; ++run) {
            const __m256i codes = bit_pairs(load32(b + 12 + 32 * (run / 4)), 2 * static_cast<int>(run % 4));
            const __m256i values =
                _mm256_add_epi8(look_up(ik2_levels(), codes), shift_halves(extra, 2 * run, 5));
            scaled_halves(values, scale + 2 * run, out + 32 * run);
        }
    }

    /// Run number `run` of the 3-bit codes of IQ3_K and IQ3_KS.
    static __m256i three_bits(Bytes qs, Bytes qh, unsigned run) {
        const __m256i low = bit_pairs(load32(qs + 32 * (run / 4)), 2 * static_cast<int>(run % 4));
        return _mm256_or_si256(low, where_bit(load32(qh), static_cast<int>(run), 4));
    }

    static void iq3_k(Bytes b, float* out) {
        const __m128i nibble = nibbles_in_order(b + 6);
        const __m128i odd = _mm_add_epi8(_mm_add_epi8(nibble, nibble), _mm_set1_epi8(1));
        float scale[16];
        scaled(lower(with_signs(_mm256_castsi128_si256(odd), read_as<std::uint16_t>(b + 4))), half(b), scale);
        const unsigned extra = read_as<std::uint16_t>(b + 2);
        for (unsigned run = 0; run < 8; ++run) {
            const __m256i values = look_up(ik3_levels(), three_bits(b + 14, b + 78, run));
            scaled_halves(_mm256_add_epi8(values, shift_halves(extra, 2 * run, 4)), scale + 2 * run,
                          out + 32 * run);
        }
    }

    static void iq4_k(Bytes b, float* out) {
        float scale[16];
        scaled(six_bit_scales(b + 4), half(b), scale);
        const unsigned extra = read_as<std::uint16_t>(b + 2);
        for (unsigned run = 0; run < 8; ++run) {
            const __m256i values = look_up(iq4_levels(), nibbles(b + 16 + 16 * run));
            scaled_halves(_mm256_add_epi8(values, shift_halves(extra, 2 * run, 4)), scale + 2 * run,
                          out + 32 * run);
        }
    }

    /// Run number `run` of nibbles, two of them in 32 bytes.
    static __m256i nibble_run(Bytes qs, unsigned run) {
        const __m256i both = load32(qs + 32 * (run / 2));
        return run % 2 == 0 ? low_nibbles(both) : high_nibbles(both);
    }
    static __m256i five_bits(Bytes qs, Bytes qh, unsigned run) {
        return _mm256_or_si256(nibble_run(qs, run), where_bit(load32(qh), static_cast<int>(run), 16));
    }

    static void iq5_k(Bytes b, float* out) {
        float scale[16];
        scaled(six_bit_scales(b + 4), half(b), scale);
        const unsigned extra = read_as<std::uint16_t>(b + 2);
        for (unsigned run = 0; run < 8; ++run) {
            const __m256i values = ik5_values(five_bits(b + 16, b + 144, run));
            scaled_halves(_mm256_add_epi8(values, shift_halves(extra, 2 * run, 2)), scale + 2 * run,
                          out + 32 * run);
        }
    }

    /// Sixteen weights of IQ6_K: the levels are a cubic of the code.
    static void cubic(__m128i codes, float shift, float scale, float* out) {
        const auto q = V::from_i8(codes);
        auto level = V::add(V::mul(q, V::broadcast(0.0011972f)), V::broadcast(-0.11218f));
        level = V::add(V::mul(q, level), V::broadcast(6.2568f));
        level = V::add(V::mul(q, level), V::broadcast(-127.0f));
        V::store(out, V::mul(V::broadcast(scale), V::add(level, V::broadcast(shift))));
    }

    static void iq6_k(Bytes b, float* out) {
        float scale[16];
        scaled(load16(b + 4), half(b), scale);
        const unsigned extra = read_as<std::uint16_t>(b + 2);
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const __m256i high = bit_pairs(load32(b + 148 + 32 * (run / 4)), 2 * static_cast<int>(run % 4));
            const __m256i codes = _mm256_or_si256(nibble_run(b + 20, run), _mm256_slli_epi16(high, 4));
            cubic(lower(codes), static_cast<float>(extra >> 2 * run & 1u), scale[2 * run], out);
            cubic(upper(codes), static_cast<float>(extra >> (2 * run + 1) & 1u), scale[2 * run + 1],
                  out + 16);
        }
    }

    static void iq2_ks(Bytes b, float d, float* out) {
        const unsigned extra = read_as<std::uint16_t>(b);
        const auto low = read_as<std::uint32_t>(b + 2);
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const auto five = static_cast<int>((low >> 4 * run & 15u) | (extra >> (8 + run) & 1u) << 4);
            const __m256i codes = bit_pairs(load32(b + 6 + 32 * (run / 4)), 2 * static_cast<int>(run % 4));
            const __m256i values = _mm256_add_epi8(look_up(ik2_levels(), codes), shift_all(extra >> run, 5));
            scaled(values, d * static_cast<float>(five - 16), out);
        }
    }

    static void iq3_ks(Bytes b, float d, float* out) {
        const unsigned extra = read_as<std::uint16_t>(b);
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const auto five =
                static_cast<int>((b[2 + run % 4] >> 4 * (run / 4) & 15u) | (extra >> run & 1u) << 4);
            const __m256i values = look_up(ik3_levels(), three_bits(b + 6, b + 70, run));
            scaled(_mm256_add_epi8(values, shift_all(extra >> (8 + run), 4)),
                   d * static_cast<float>(five - 16), out);
        }
    }

    static void iq2_kl(Bytes b, float d, float* out) {
        const unsigned high = read_as<std::uint16_t>(b);
        const __m256i qh = _mm256_castsi128_si256(load16(b + 70));
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const auto six =
                static_cast<int>((b[2 + run % 4] >> 4 * (run / 4) & 15u) | (high >> 2 * run & 3u) << 4);
            const __m256i both = nibbles(b + 6 + 16 * (run / 2));
            const __m128i codes = _mm_or_si128(run % 2 == 0 ? lower(both) : upper(both),
                                               lower(where_bit(qh, static_cast<int>(run), 16)));
            const __m128i first = look_up_5(pairs_first_lower(), pairs_first_upper(), codes);
            const __m128i second = look_up_5(pairs_second_lower(), pairs_second_upper(), codes);
            const float scale = d * static_cast<float>(six - 32);
            scaled(_mm_unpacklo_epi8(first, second), scale, out);
            scaled(_mm_unpackhi_epi8(first, second), scale, out + 16);
        }
    }

    static float ks_scale(float d, unsigned byte) {
        return d * static_cast<float>(static_cast<int>(byte & 254u) - 127);
    }

    static void iq4_ks(Bytes b, float d, float* out) {
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const __m256i values = look_up(iq4_levels(), nibbles(b + 8 + 16 * run));
            scaled(_mm256_add_epi8(values, shift_all(b[run], 4)), ks_scale(d, b[run]), out);
        }
    }

    static void iq4_kss(Bytes b, float d, float* out) {
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const __m128i words = load16(b + 16 * run);
            const __m128i lowest = _mm_srai_epi16(_mm_slli_epi16(words, 15), 15);
            const auto byte =
                static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(lowest, _mm_setzero_si128())));
            const __m128i gray = _mm_and_si128(words, _mm_set1_epi16(-2));
            const __m128i codes = _mm_xor_si128(gray, _mm_srli_epi16(gray, 1));
            const __m256i values =
                look_up(iq4_levels(), low_nibbles(_mm256_set_m128i(_mm_srli_epi16(codes, 4), codes)));
            scaled(_mm256_add_epi8(values, shift_all(byte, 4)), ks_scale(d, byte), out);
        }
    }

    static void iq5_ks(Bytes b, float d, float* out) {
        for (unsigned run = 0; run < 8; ++run, out += 32) {
            const __m256i values = ik5_values(five_bits(b + 8, b + 136, run));
            scaled(_mm256_add_epi8(values, shift_all(b[run], 2)), ks_scale(d, b[run]), out);
        }
    }

    static void iq1_kt(Bytes b, float d, float* out) {
        for (unsigned group = 0; group < 32; group += 2, out += 16) {
            const unsigned sub = group / 4, head = b[sub];
            const auto start = [&](unsigned g) {
                const unsigned high = b[40 + g % 16] >> 4 * (g / 16) & 15u;
                return b[8 + g] | high << 8 | (head >> (4 + g % 4) & 1u) << 12;
            };
            scaled(trellis_8(start(group)), trellis_8(start(group + 1)), d * level(head & 15u), out);
        }
    }

    static void iq2_kt(Bytes b, float d, float* out) {
        for (unsigned group = 0; group < 32; group += 2, out += 16) {
            const unsigned sub = group / 4;
            const auto starts = read_as<std::uint32_t>(b + 4 + 2 * group);
            scaled(trellis_8(starts & 0xffffu), trellis_8(starts >> 16),
                   d * level(b[sub % 4] >> 4 * (sub / 4) & 15u), out);
        }
    }

    static void iq3_kt(Bytes b, float d, float* out) {
        const __m256i qh = load32(b + 68);
        for (unsigned sub = 0; sub < 8; ++sub) {
            const float scale = d * static_cast<float>(b[sub % 4] >> 4 * (sub / 4) & 15u);
            const __m256i negative = where_bit(qh, static_cast<int>(sub), -1);
            for (unsigned pair = 0; pair < 2; ++pair, out += 16) {
                const auto starts = read_as<std::uint32_t>(b + 4 + 8 * sub + 4 * pair);
                const __m128i signs = pair == 0 ? lower(negative) : upper(negative);
                scaled(signed_8(trellis_8(starts & 0xffffu), signs),
                       signed_8(trellis_8(starts >> 16), _mm_unpackhi_epi64(signs, signs)), scale, out);
            }
        }
    }
    /// Magnitudes with the signs of eight bytes, 0 or -1.
    static __m256i signed_8(__m256i values, __m128i negative) {
        const __m256i mask = _mm256_cvtepi8_epi32(negative);
        return _mm256_sub_epi32(_mm256_xor_si256(_mm256_abs_epi32(values), mask), mask);
    }

    static void iq4_kt(Bytes b, float d, float* out) {
        for (unsigned sub = 0; sub < 8; ++sub) {
            const auto head = read_as<std::uint32_t>(b + 4 * sub);
            const float scale = d * static_cast<float>(static_cast<int>(head >> 1 & 127u) - 64);
            const auto start = [&](unsigned g) {
                const unsigned n = 8 * sub + g;
                const unsigned high = b[96 + n % 32] >> 4 * (n / 32) & 15u;
                return static_cast<int>((b[32 + n] | high << 8 | (head >> (8 + 3 * g) & 7u) << 12) + 4096 +
                                        32768 * (head & 1u));
            };
            const auto two_groups = [&](unsigned g) {
                const __m256i starts =
                    _mm256_set_m128i(_mm_set1_epi32(start(g + 1)), _mm_set1_epi32(start(g)));
                return trellis(starts, trellis_factors<1, 2, 3, 4, 1, 2, 3, 4>());
            };
            for (unsigned g = 0; g < 8; g += 4, out += 16)
                scaled(two_groups(g), two_groups(g + 2), scale, out);
        }
    }

    static void q6_0(Bytes b, float* out) {
        const __m128i qh = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + 2));
        const __m128i both = _mm_unpacklo_epi64(qh, _mm_srli_epi16(qh, 4));
        const __m256i high = bit_pairs(_mm256_set_m128i(_mm_srli_epi16(both, 2), both), 0);
        const __m256i codes = _mm256_or_si256(nibbles(b + 10), _mm256_slli_epi16(high, 4));
        scaled(_mm256_sub_epi8(codes, _mm256_set1_epi8(32)), half(b), out);
    }
};

}  // namespace
}  // namespace assay::quant
