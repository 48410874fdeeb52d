// Vector decoders of the IQ types with codebooks, and of NVFP4. See decode_simd_ops.h; of iq_grids.h only the
// tables are used, through pointers.
#pragma once

#include "quant/decode_simd_ops.h"
#include "quant/iq_grids.h"

namespace assay::quant {
namespace {  // NOLINT(google-build-namespaces): see decode_simd_ops.h

/// Entry `index` of a grid.
template <std::size_t kEntries> long long point(const Grid<kEntries, 8>& grid, unsigned index) {
    return read_as<long long>(reinterpret_cast<Bytes>(&grid) + std::size_t{8} * index);
}
template <std::size_t kEntries> int point(const Grid<kEntries, 4>& grid, unsigned index) {
    return read_as<int>(reinterpret_cast<Bytes>(&grid) + std::size_t{4} * index);
}

/// Bytes of seven sign bits, the eighth making the number of set bits even.
std::uint32_t even_sign_bytes(std::uint32_t seven) {
    std::uint32_t parity = seven ^ seven >> 4;  // its bit 0 of every byte is that of the byte alone
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return seven | (parity & 0x01010101u) << 7;
}

/// Four times seven bits, one after another.
std::uint32_t signs_of_28(std::uint32_t a) {
    return even_sign_bytes((a & 0x7fu) | (a << 1 & 0x7f00u) | (a << 2 & 0x7f0000u) | (a << 3 & 0x7f000000u));
}

template <class V> struct SimdIq : SimdOps<V> {
    using Ops = SimdOps<V>;
    using Ops::lower, Ops::upper, Ops::scaled;

    /// Two IQ1 points, each moved by an eighth up or down: code c becomes 8 c + 1 or 8 c - 1, and an eighth
    /// of that is exact.
    static void shifted_points(unsigned first, unsigned second, __m128i eighths, float scale, float* out) {
        const __m128i codes = _mm_set_epi64x(point(kGridIq1, second), point(kGridIq1, first));
        const __m128i times_8 = _mm_and_si128(_mm_slli_epi16(codes, 3), _mm_set1_epi8(-8));
        const auto w = V::mul(V::from_i8(_mm_add_epi8(times_8, eighths)), V::broadcast(0.125f));
        V::store(out, V::mul(V::broadcast(scale), w));
    }

    static void iq1_s(Bytes b, float* out) {
        const float d = half(b);
        for (unsigned group = 0; group < 8; ++group, out += 32) {
            const unsigned high = read_as<std::uint16_t>(b + 34 + 2 * group);
            const float scale = d * static_cast<float>(2 * (high >> 12 & 7u) + 1);
            const __m128i eighths = _mm_set1_epi8(high & 0x8000u ? -1 : 1);
            const Bytes qs = b + 2 + 4 * group;
            shifted_points(qs[0] | (high & 7u) << 8, qs[1] | (high & 0x38u) << 5, eighths, scale, out);
            shifted_points(qs[2] | (high & 0x1c0u) << 2, qs[3] | (high & 0xe00u) >> 1, eighths, scale,
                           out + 16);
        }
    }

    static void iq1_m(Bytes b, float* out) {
        const auto scales = read_as<std::uint64_t>(b + 48);
        const auto half_bits = static_cast<std::uint16_t>((scales >> 12 & 0xfu) | (scales >> 24 & 0xf0u) |
                                                          (scales >> 36 & 0xf00u) | (scales >> 48 & 0xf000u));
        const float d = half(reinterpret_cast<Bytes>(&half_bits));
        for (unsigned sub = 0; sub < 16; ++sub, out += 16) {
            const auto three_bits = static_cast<unsigned>(scales >> (16 * (sub / 4) + 3 * (sub % 4))) & 7u;
            const unsigned high = b[32 + sub];
            const auto moved = [](bool down) { return down ? -1ll : 0x0101010101010101ll; };
            const __m128i eighths = _mm_set_epi64x(moved((high & 0x80u) != 0), moved((high & 8u) != 0));
            shifted_points(b[2 * sub] | (high & 7u) << 8, b[2 * sub + 1] | (high & 0x70u) << 4, eighths,
                           d * static_cast<float>(2 * three_bits + 1), out);
        }
    }

    template <std::size_t kEntries>
    static __m256i four_points(const Grid<kEntries, 8>& grid, unsigned i0, unsigned i1, unsigned i2,
                               unsigned i3) {
        return _mm256_set_epi64x(point(grid, i3), point(grid, i2), point(grid, i1), point(grid, i0));
    }
    static float quarter_steps(float d, unsigned s) { return d * (0.5f + static_cast<float>(s)) * 0.25f; }
    /// Two scales, each for half of 32 values.
    static void scaled_halves(__m256i values, float d, unsigned nibbles, float* out) {
        scaled(lower(values), quarter_steps(d, nibbles & 15u), out);
        scaled(upper(values), quarter_steps(d, nibbles >> 4), out + 16);
    }

    static void iq2_xxs(Bytes b, float* out) {
        const float d = half(b);
        for (const std::uint8_t* g = b + 2; g < b + 66; g += 8, out += 32) {
            const auto a = read_as<std::uint32_t>(g + 4);
            const __m256i values = four_points(kGridIq2Xxs, g[0], g[1], g[2], g[3]);
            scaled(with_signs(values, signs_of_28(a)), quarter_steps(d, a >> 28), out);
        }
    }

    static void iq2_xs(Bytes b, float* out) {
        const float d = half(b);
        for (unsigned group = 0; group < 8; ++group, out += 32) {
            const auto q = read_as<std::uint64_t>(b + 2 + 8 * group);
            const auto index = [&](unsigned l) { return static_cast<unsigned>(q >> 16 * l) & 511u; };
            const __m256i values = four_points(kGridIq2Xs, index(0), index(1), index(2), index(3));
            std::uint64_t seven = q >> 9 & 0x007f007f007f007fu;  // of every 16 bits; gathered to bytes
            seven = (seven | seven >> 8) & 0x0000ffff0000ffffu;
            const auto signs = even_sign_bytes(static_cast<std::uint32_t>(seven | seven >> 16));
            scaled_halves(with_signs(values, signs), d, b[66 + group], out);
        }
    }

    static void iq2_s(Bytes b, float* out) {
        const float d = half(b);
        for (unsigned group = 0; group < 8; ++group, out += 32) {
            const Bytes qs = b + 2 + 4 * group;
            const unsigned high = b[66 + group];
            const __m256i values = four_points(kGridIq2S, qs[0] | (high & 3u) << 8, qs[1] | (high & 12u) << 6,
                                               qs[2] | (high & 48u) << 4, qs[3] | (high & 192u) << 2);
            const auto signs = read_as<std::uint32_t>(b + 34 + 4 * group);
            scaled_halves(with_signs(values, signs), d, b[74 + group], out);
        }
    }

    /// Eight points of four; bit e of `high` is bit 8 of index e.
    template <std::size_t kEntries>
    static __m256i eight_points(const Grid<kEntries, 4>& grid, Bytes qs, unsigned high) {
        const auto at = [&](unsigned e) { return point(grid, qs[e] | (high >> e & 1u) << 8); };
        return _mm256_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
    }

    static void iq3_xxs(Bytes b, float* out) {
        const float d = half(b);
        for (unsigned group = 0; group < 8; ++group, out += 32) {
            const auto a = read_as<std::uint32_t>(b + 66 + 4 * group);
            const __m256i values = eight_points(kGridIq3Xxs, b + 2 + 8 * group, 0);
            scaled(with_signs(values, signs_of_28(a)), d * (0.5f + static_cast<float>(a >> 28)) * 0.5f, out);
        }
    }

    static void iq3_s(Bytes b, float* out) {
        const float d = half(b);
        for (unsigned group = 0; group < 8; ++group, out += 32) {
            const __m256i values = eight_points(kGridIq3S, b + 2 + 8 * group, b[66 + group]);
            const unsigned nibble = b[106 + group / 2] >> 4 * (group % 2) & 15u;
            scaled(with_signs(values, read_as<std::uint32_t>(b + 74 + 4 * group)),
                   d * static_cast<float>(1 + 2 * nibble), out);
        }
    }

    static void nvfp4(Bytes b, float* out) {
        for (unsigned k = 0; k < 4; ++k, out += 16) {
            const unsigned v = b[k];
            const unsigned exponent = v >> 3 & 15u;
            const std::uint32_t bits = (exponent + 119u) << 23 | (v & 7u)
                                                                     << 20;  // (1 + m / 8) 2^(exponent - 8)
            float d;
            std::memcpy(&d, &bits, sizeof d);
            if (exponent == 0) d = static_cast<float>(v & 7u) * 0x1p-10f;
            if (v == 0x7f) d = 0;
            const __m128i qs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + 4 + 8 * k));
            const __m128i codes =
                _mm_and_si128(_mm_unpacklo_epi64(qs, _mm_srli_epi16(qs, 4)), _mm_set1_epi8(15));
            scaled(_mm_shuffle_epi8(fp4_doubled(), codes), d, out);
        }
    }
};

}  // namespace
}  // namespace assay::quant
