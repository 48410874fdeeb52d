// Sixteen floats in one register. Compiled for AVX-512 F, BW, DQ, VL; called after a run-time check.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own AVX-512 header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"        // the same
#endif

#include "quant/decode_simd.h"
#include "quant/simd_decoders.h"

namespace assay::quant {

namespace {

struct Avx512 {
    using Floats = __m512;

    static Floats broadcast(float f) { return _mm512_set1_ps(f); }
    static Floats from_i8(__m128i v) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(v)); }
    static Floats from_i32(__m256i lo, __m256i hi) {
        return _mm512_cvtepi32_ps(_mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1));
    }
    static Floats from_half(__m256i v) { return _mm512_cvtph_ps(v); }
    static Floats from_bf16(__m256i v) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
    }
    static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
    static Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
    static void store(float* out, Floats v) { _mm512_storeu_ps(out, v); }
};

}  // namespace

DecodeRows find_avx512_decoder(TypeId id) noexcept { return SimdDecoders<Avx512>::find(id); }

}  // namespace assay::quant
