// Vector decoders of types that store 4, 8 or 16 rows together; places in interleaved_blocks.h and
// interleaved_iq_blocks.h. See decode_simd_ops.h.
//
// Four neighbouring weights of a row, a quad, lie in four bytes or in one field of each, beside those of the
// other rows. Quads of all rows are made bytes at once, then transposed as words of four bytes, and a row's
// 32 codes are in order.
#pragma once

#include "quant/decode_simd_ik.h"
#include "quant/decode_simd_ops.h"

namespace assay::quant {
namespace {  // NOLINT(google-build-namespaces): see decode_simd_ops.h

/// Quads 0 to 3 in the lower halves and 4 to 7 in the upper ones, of rows 0 to 3.
struct Quads {
    __m256i v[4];

    /// The codes of 32 weights of each row.
    Quads by_row() const {
        const __m256i t0 = _mm256_unpacklo_epi32(v[0], v[1]), t1 = _mm256_unpackhi_epi32(v[0], v[1]);
        const __m256i t2 = _mm256_unpacklo_epi32(v[2], v[3]), t3 = _mm256_unpackhi_epi32(v[2], v[3]);
        return {{_mm256_unpacklo_epi64(t0, t2), _mm256_unpackhi_epi64(t0, t2), _mm256_unpacklo_epi64(t1, t3),
                 _mm256_unpackhi_epi64(t1, t3)}};
    }
    /// With the bits `bits[i]` of `high` above quads i and i + 4.
    Quads or_bits(__m256i high, const int (&bits)[4], char value) const {
        Quads out;
        for (int i = 0; i < 4; ++i) out.v[i] = _mm256_or_si256(v[i], where_bit(high, bits[i], value));
        return out;
    }
    /// With the pairs of bits at `shifts[i]` above four bits.
    Quads or_pairs(__m256i high, const int (&shifts)[4]) const {
        Quads out;
        for (int i = 0; i < 4; ++i)
            out.v[i] = _mm256_or_si256(v[i], _mm256_slli_epi16(bit_pairs(high, shifts[i]), 4));
        return out;
    }
};

/// Nibbles in 64 bytes, and pairs of bits in 32.
Quads nibble_quads(Bytes qs) {
    const __m256i even = load32(qs), odd = load32(qs + 32);
    return {{low_nibbles(even), low_nibbles(odd), high_nibbles(even), high_nibbles(odd)}};
}
Quads pair_quads(Bytes qs) {
    const __m256i v = load32(qs);
    return {{bit_pairs(v, 0), bit_pairs(v, 2), bit_pairs(v, 4), bit_pairs(v, 6)}};
}
/// Sixteen bytes twice, the second time moved right, so that the bits of quads 4 to 7 are where those of 0 to
/// 3 are.
__m256i twice(Bytes qh, int shift) {
    const __m128i v = load16(qh);
    return _mm256_set_m128i(_mm_srl_epi16(v, _mm_cvtsi32_si128(shift)), v);
}

constexpr int kThirdBits[4] = {0, 1, 2, 3};    // Q3_K_R4, IQ3_K_R4, moved 4
constexpr int kIk5Bits[4] = {0, 4, 1, 5};      // IQ5_K_R4, IQ5_KS_R4, moved 2
constexpr int kQ5Bits[4] = {0, 2, 1, 3};       // Q5_K_R4, moved 4
constexpr int kQ6Pairs[4] = {0, 4, 2, 6};      // Q6_K_R4
constexpr int kSmallPlaces[4] = {0, 2, 4, 6};  // Q5_0_R4, moved 1; Q6_0_R4

/// Scales of 256 weights of the rows, as many as a block has.
struct Scales {
    alignas(32) std::int8_t s[64];

    void store(int part, __m256i values) { _mm256_store_si256(reinterpret_cast<__m256i*>(s) + part, values); }
};
/// Nibbles of 32 bytes, the low ones first, with `minus` taken off.
Scales four_bit_scales(Bytes low, char minus) {
    Scales out;
    const __m256i v = load32(low);
    out.store(0, _mm256_sub_epi8(low_nibbles(v), _mm256_set1_epi8(minus)));
    out.store(1, _mm256_sub_epi8(high_nibbles(v), _mm256_set1_epi8(minus)));
    return out;
}
/// The same with pairs of bits of sixteen bytes above, less 32.
Scales six_bit_scales_of_rows(Bytes low, Bytes high) {
    Scales out;
    const __m256i v = load32(low);
    const __m256i h = twice(high, 2);  // pairs 0 and 1; moved 4 further, 2 and 3
    const auto six = [](__m256i nibble, __m256i pair) {
        return _mm256_sub_epi8(_mm256_or_si256(nibble, _mm256_slli_epi16(pair, 4)), _mm256_set1_epi8(32));
    };
    out.store(0, six(low_nibbles(v), bit_pairs(h, 0)));
    out.store(1, six(high_nibbles(v), bit_pairs(h, 4)));
    return out;
}

template <class V> struct SimdInterleaved : SimdOps<V> {
    using Ops = SimdOps<V>;
    using Ops::lower, Ops::upper, Ops::scaled, Ops::shifted_down;

    /// A DecodeRows out of a function that decodes one block: its bytes, the row scales, the first row's
    /// place in out and the distance of rows there.
    template <std::size_t kRows, std::size_t kWeights, std::size_t kBytes, std::size_t kMeta,
              void (*kBlock)(Bytes, Bytes, float*, std::size_t)>
    static void groups(const std::byte* rows, std::size_t n, float* out) {
        const auto* scales = reinterpret_cast<Bytes>(rows);
        Bytes block = scales + kRows * kMeta;
        for (std::size_t done = 0; done < n; done += kWeights, block += kRows * kBytes)
            kBlock(block, scales, out + done, n);
    }

    /// 32 values, a scale for each half.
    static void halves(__m256i values, float first, float second, float* out) {
        scaled(lower(values), first, out);
        scaled(upper(values), second, out + 16);
    }
    static float lane_half(Bytes b, unsigned lane) { return half(b + 2 * lane); }

    /// 256 weights with a scale per sixteen: values(quads of 32 weights' block, ib) gives each row's.
    template <class CodesOf, class ValuesOf>
    static void sixteens(Bytes b, const Scales& scales, float* out, std::size_t n, const CodesOf& codes,
                         const ValuesOf& values) {
        for (unsigned ib = 0; ib < 8; ++ib) {
            const Quads rows = codes(ib).by_row();
            for (unsigned lane = 0; lane < 4; ++lane) {
                const float d = lane_half(b, lane);
                const std::int8_t* s = scales.s + 8 * ib + lane;
                halves(values(rows.v[lane], ib, lane), d * static_cast<float>(s[0]),
                       d * static_cast<float>(s[4]), out + lane * n + 32 * ib);
            }
        }
    }
    /// Levels moved where the bits beside the scales say so.
    static __m256i moved(__m256i values, Bytes extra, unsigned ib, unsigned lane, int shift) {
        const unsigned bits = (extra[lane] >> ib & 1u) | (extra[lane + 4] >> ib & 1u) << 1;
        return _mm256_add_epi8(values, shift_halves(bits, 0, shift));
    }

    static void q3_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        sixteens(
            b, six_bit_scales_of_rows(b + 24, b + 8), out, n,
            [b](unsigned ib) {
                return pair_quads(b + 184 + 32 * ib).or_bits(twice(b + 56 + 16 * ib, 4), kThirdBits, 4);
            },
            [](__m256i codes, unsigned, unsigned) { return _mm256_sub_epi8(codes, _mm256_set1_epi8(4)); });
    }
    static void q6_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        Scales scales;
        scales.store(0, load32(b + 8));
        scales.store(1, load32(b + 40));
        sixteens(
            b, scales, out, n,
            [b](unsigned ib) {
                return nibble_quads(b + 328 + 64 * ib).or_pairs(load32(b + 72 + 32 * ib), kQ6Pairs);
            },
            [](__m256i codes, unsigned, unsigned) { return _mm256_sub_epi8(codes, _mm256_set1_epi8(32)); });
    }
    static void iq2_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        sixteens(
            b, four_bit_scales(b + 16, 8), out, n, [b](unsigned ib) { return pair_quads(b + 48 + 32 * ib); },
            [b](__m256i codes, unsigned ib, unsigned lane) {
                return moved(look_up(ik2_levels(), codes), b + 8, ib, lane, 5);
            });
    }
    static void iq3_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        Scales scales = four_bit_scales(b + 24, 0);
        const auto signs = read_as<std::uint64_t>(b + 16);  // byte n % 8, bit n / 8
        for (unsigned i = 0; i < 64; ++i) {
            const int odd = 2 * scales.s[i] + 1;
            scales.s[i] = static_cast<std::int8_t>(signs >> (8 * (i % 8) + i / 8) & 1u ? -odd : odd);
        }
        sixteens(
            b, scales, out, n,
            [b](unsigned ib) {
                return pair_quads(b + 56 + 32 * ib).or_bits(twice(b + 312 + 16 * ib, 4), kThirdBits, 4);
            },
            [b](__m256i codes, unsigned ib, unsigned lane) {
                return moved(look_up(ik3_levels(), codes), b + 8, ib, lane, 4);
            });
    }
    static void iq4_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        sixteens(
            b, six_bit_scales_of_rows(b + 32, b + 16), out, n,
            [b](unsigned ib) { return nibble_quads(b + 64 + 64 * ib); },
            [b](__m256i codes, unsigned ib, unsigned lane) {
                return moved(look_up(iq4_levels(), codes), b + 8, ib, lane, 4);
            });
    }
    static void iq5_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        sixteens(
            b, six_bit_scales_of_rows(b + 32, b + 16), out, n,
            [b](unsigned ib) {
                return nibble_quads(b + 64 + 64 * ib).or_bits(twice(b + 576 + 16 * ib, 2), kIk5Bits, 16);
            },
            [b](__m256i codes, unsigned ib, unsigned lane) {
                return moved(ik5_values(codes), b + 8, ib, lane, 2);
            });
    }

    static void q2_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        for (unsigned ib = 0; ib < 8; ++ib) {
            const Quads rows = pair_quads(b + 80 + 32 * ib).by_row();
            for (unsigned lane = 0; lane < 4; ++lane) {
                const float d = lane_half(b, lane), m = lane_half(b + 8, lane);
                float* to = out + lane * n + 32 * ib;
                const unsigned first = b[16 + 8 * ib + lane], second = b[20 + 8 * ib + lane];
                shifted_down(lower(rows.v[lane]), d * static_cast<float>(first & 15u),
                             m * static_cast<float>(first >> 4), to);
                shifted_down(upper(rows.v[lane]), d * static_cast<float>(second & 15u),
                             m * static_cast<float>(second >> 4), to + 16);
            }
        }
    }
    /// Q4_K_R4 and Q5_K_R4.
    template <class CodesOf>
    static void scales_and_mins_of_rows(Bytes b, float* out, std::size_t n, const CodesOf& codes) {
        for (unsigned ib = 0; ib < 8; ++ib) {
            const Quads rows = codes(ib).by_row();
            for (unsigned lane = 0; lane < 4; ++lane) {
                const unsigned i = 4 * ib + lane, low = b[32 + i], high = b[16 + i % 16] >> 4 * (i / 16);
                const float scale = lane_half(b, lane) * static_cast<float>((low & 15u) | (high & 3u) << 4);
                const float min = lane_half(b + 8, lane) * static_cast<float>(low >> 4 | (high & 12u) << 2);
                shifted_down(rows.v[lane], scale, min, out + lane * n + 32 * ib);
            }
        }
    }
    static void q4_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        scales_and_mins_of_rows(b, out, n, [b](unsigned ib) { return nibble_quads(b + 64 + 64 * ib); });
    }
    static void q5_k_r4(Bytes b, Bytes, float* out, std::size_t n) {
        scales_and_mins_of_rows(b, out, n, [b](unsigned ib) {
            return nibble_quads(b + 192 + 64 * ib).or_bits(twice(b + 64 + 16 * ib, 4), kQ5Bits, 16);
        });
    }

    /// IQ4_KS_R4 and IQ5_KS_R4.
    static float row_float(Bytes scales, unsigned lane) { return read_as<float>(scales + 4 * lane); }
    static void iq4_ks_r4(Bytes b, Bytes scales, float* out, std::size_t n) {
        for (unsigned ib = 0; ib < 8; ++ib) {
            const Quads rows = nibble_quads(b + 32 + 64 * ib).by_row();
            for (unsigned lane = 0; lane < 4; ++lane) {
                const unsigned byte = b[4 * ib + lane];
                const __m256i values =
                    _mm256_add_epi8(look_up(iq4_levels(), rows.v[lane]), shift_all(byte, 4));
                scaled(values, SimdIk<V>::ks_scale(row_float(scales, lane), byte), out + lane * n + 32 * ib);
            }
        }
    }
    static void iq5_ks_r4(Bytes b, Bytes scales, float* out, std::size_t n) {
        for (unsigned ib = 0; ib < 8; ++ib) {
            const Quads rows =
                nibble_quads(b + 32 + 64 * ib).or_bits(twice(b + 544 + 16 * ib, 2), kIk5Bits, 16).by_row();
            for (unsigned lane = 0; lane < 4; ++lane) {
                const unsigned byte = b[4 * ib + lane];
                const __m256i values = _mm256_add_epi8(ik5_values(rows.v[lane]), shift_all(byte, 2));
                scaled(values, SimdIk<V>::ks_scale(row_float(scales, lane), byte), out + lane * n + 32 * ib);
            }
        }
    }

    // 32 weights of four rows
    static void iq4_nl_r4(Bytes b, Bytes, float* out, std::size_t n) {
        const Quads rows = nibble_quads(b + 8).by_row();
        for (unsigned lane = 0; lane < 4; ++lane)
            scaled(look_up(iq4_levels(), rows.v[lane]), lane_half(b, lane), out + lane * n);
    }
    static void q5_0_r4(Bytes b, Bytes, float* out, std::size_t n) {
        const Quads rows = nibble_quads(b + 24).or_bits(twice(b + 8, 1), kSmallPlaces, 16).by_row();
        for (unsigned lane = 0; lane < 4; ++lane)
            scaled(_mm256_sub_epi8(rows.v[lane], _mm256_set1_epi8(16)), lane_half(b, lane), out + lane * n);
    }
    static void q6_0_r4(Bytes b, Bytes, float* out, std::size_t n) {
        const Quads rows = nibble_quads(b + 40).or_pairs(load32(b + 8), kSmallPlaces).by_row();
        for (unsigned lane = 0; lane < 4; ++lane)
            scaled(_mm256_sub_epi8(rows.v[lane], _mm256_set1_epi8(32)), lane_half(b, lane), out + lane * n);
    }

    /// 32 codes of each of eight rows, out of the quads of all rows in turn.
    struct Eight {
        __m256i row[8];
        explicit Eight(const __m256i (&quad)[8]) {
            const Quads first = Quads{{quad[0], quad[1], quad[2], quad[3]}}.by_row();
            const Quads second = Quads{{quad[4], quad[5], quad[6], quad[7]}}.by_row();
            for (int k = 0; k < 4; ++k) {
                row[k] = _mm256_permute2x128_si256(first.v[k], second.v[k], 0x20);
                row[k + 4] = _mm256_permute2x128_si256(first.v[k], second.v[k], 0x31);
            }
        }
        /// Whole bytes, `stride` apart.
        static Eight bytes(Bytes qs, std::size_t stride) {
            __m256i quad[8];
            for (unsigned i = 0; i < 8; ++i) quad[i] = load32(qs + i * stride);
            return Eight(quad);
        }
        /// Nibbles: the high ones are quads 4 to 7.
        static Eight nibbles(Bytes qs) {
            __m256i quad[8];
            for (unsigned i = 0; i < 4; ++i) {
                quad[i] = low_nibbles(load32(qs + 32 * i));
                quad[i + 4] = high_nibbles(load32(qs + 32 * i));
            }
            return Eight(quad);
        }
    };

    static void q4_0_r8(Bytes b, Bytes, float* out, std::size_t n) {
        const Eight rows = Eight::nibbles(b + 16);
        for (unsigned lane = 0; lane < 8; ++lane)
            scaled(_mm256_sub_epi8(rows.row[lane], _mm256_set1_epi8(8)), lane_half(b, lane), out + lane * n);
    }
    static void q8_0_r8(Bytes b, Bytes, float* out, std::size_t n) {
        const Eight rows = Eight::bytes(b + 16, 32);
        for (unsigned lane = 0; lane < 8; ++lane) scaled(rows.row[lane], lane_half(b, lane), out + lane * n);
    }
    static void mxfp4_r8(Bytes b, Bytes, float* out, std::size_t n) {
        const Eight rows = Eight::nibbles(b + 8);
        for (unsigned lane = 0; lane < 8; ++lane)
            scaled(look_up(fp4_doubled(), rows.row[lane]), half_e8m0_of(b[lane]), out + lane * n);
    }
    static void q8_kv_r8(Bytes b, Bytes scales, float* out, std::size_t n) {
        const Eight rows = Eight::bytes(b, 32);
        for (unsigned lane = 0; lane < 8; ++lane)
            scaled(rows.row[lane], row_float(scales, lane), out + lane * n);
    }
    static void iq4_xs_r8(Bytes b, Bytes, float* out, std::size_t n) {
        const Scales scales = six_bit_scales_of_rows(b + 32, b + 16);
        for (unsigned ib = 0; ib < 8; ++ib) {
            __m256i quad[8];
            for (unsigned i = 0; i < 4; ++i) {
                const __m256i both = load32(b + 64 + 128 * ib + 32 * i);
                quad[2 * i] = low_nibbles(both);
                quad[2 * i + 1] = high_nibbles(both);
            }
            const Eight rows(quad);
            for (unsigned lane = 0; lane < 8; ++lane)
                scaled(look_up(iq4_levels(), rows.row[lane]),
                       lane_half(b, lane) * static_cast<float>(scales.s[8 * ib + lane]),
                       out + lane * n + 32 * ib);
        }
    }
    static void q8_k_r8(Bytes b, Bytes, float* out, std::size_t n) {
        for (unsigned ib = 0; ib < 8; ++ib) {
            const Eight rows = Eight::bytes(b + 16 + 256 * ib, 32);
            for (unsigned lane = 0; lane < 8; ++lane)
                scaled(rows.row[lane], lane_half(b, lane), out + lane * n + 32 * ib);
        }
    }
    static void q8_k_r16(Bytes b, Bytes, float* out, std::size_t n) {
        for (unsigned ib = 0; ib < 8; ++ib)
            for (unsigned first = 0; first < 16; first += 8) {
                const Eight rows = Eight::bytes(b + 32 + 512 * ib + 4 * first, 64);
                for (unsigned lane = 0; lane < 8; ++lane)
                    scaled(_mm256_xor_si256(rows.row[lane], _mm256_set1_epi8(-128)),
                           lane_half(b, first + lane), out + (first + lane) * n + 32 * ib);
            }
    }
};

}  // namespace
}  // namespace assay::quant
