// Sixteen floats in two AVX registers. Compiled for AVX2, FMA, F16C; called after a run-time check.
#include "quant/decode_simd.h"
#include "quant/simd_decoders.h"

namespace assay::quant {

namespace {

struct Avx2 {
    struct Floats {
        __m256 lo, hi;
    };

    static Floats broadcast(float f) { return {_mm256_set1_ps(f), _mm256_set1_ps(f)}; }
    static Floats from_i8(__m128i v) {
        return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(v)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(v, v)))};
    }
    static Floats from_i32(__m256i lo, __m256i hi) {
        return {_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi)};
    }
    static Floats from_half(__m256i v) {
        return {_mm256_cvtph_ps(_mm256_castsi256_si128(v)), _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1))};
    }
    static Floats from_bf16(__m256i v) {
        return {bf16_to_floats(_mm256_castsi256_si128(v)), bf16_to_floats(_mm256_extracti128_si256(v, 1))};
    }
    static Floats mul(Floats a, Floats b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
    static Floats add(Floats a, Floats b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
    static Floats sub(Floats a, Floats b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
    static void store(float* out, Floats v) {
        _mm256_storeu_ps(out, v.lo);
        _mm256_storeu_ps(out + 8, v.hi);
    }

  private:
    static __m256 bf16_to_floats(__m128i v) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
    }
};

}  // namespace

DecodeRows find_avx2_decoder(TypeId id) noexcept { return SimdDecoders<Avx2>::find(id); }

}  // namespace assay::quant
