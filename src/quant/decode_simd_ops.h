// What the vector decoders share. They are written once over a vector type V and compiled once per
// instruction set: only decode_avx2.cpp and decode_avx512.cpp include decode_simd*.h, each with its own V of
// sixteen floats.
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

/// As half_e8m0() in block_bits.h.
float half_e8m0_of(unsigned e) {
    const std::uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1u) << 23;
    float d;
    std::memcpy(&d, &bits, sizeof d);
    return d;
}

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

/// `value` in byte i where bit i of `bits` is set, else 0.
__m256i where_bits(std::uint32_t bits, char value) {
    const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), byte_of);
    const __m256i mask = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, mask), mask), _mm256_set1_epi8(value));
}

/// Values with the sign bits' signs.
__m256i with_signs(__m256i values, std::uint32_t signs) {
    const __m256i mask = where_bits(signs, -1);
    return _mm256_sub_epi8(_mm256_xor_si256(values, mask), mask);
}

/// Looks thirty-two 4-bit codes up in a table of sixteen bytes.
__m256i look_up(__m128i table, __m256i codes) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), codes);
}

__m128i iq4_levels() {
    return _mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
}

__m128i fp4_doubled() { return _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12); }

/// V: struct Floats of sixteen; broadcast, from_i8, from_i32, from_half, from_bf16, mul, add, sub, store.
template <class V> struct SimdOps {
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

    template <std::size_t kWeights, std::size_t kBytes, void (*kBlock)(Bytes, float*)>
    static void blocks(const std::byte* row, std::size_t n, float* out) {
        const auto* block = reinterpret_cast<Bytes>(row);
        for (std::size_t done = 0; done < n; done += kWeights, block += kBytes) kBlock(block, out + done);
    }

    /// The same for rows that begin with a scale of kMeta bytes, a half (2) or a float and anything.
    template <std::size_t kMeta, std::size_t kBytes, void (*kBlock)(Bytes, float, float*)>
    static void scaled_blocks(const std::byte* row, std::size_t n, float* out) {
        const auto* bytes = reinterpret_cast<Bytes>(row);
        const float d = kMeta == 2 ? half(bytes) : read_as<float>(bytes);
        bytes += kMeta;
        for (std::size_t done = 0; done < n; done += 256, bytes += kBytes) kBlock(bytes, d, out + done);
    }
};

}  // namespace
}  // namespace assay::quant
