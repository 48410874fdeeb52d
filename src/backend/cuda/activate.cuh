// GELU, as the CPU backend has it.
#pragma once

#include <cuda_fp16.h>

#include "backend/backend.h"

namespace assay::backend::cuda {

inline __device__ float round_to_half(float x) { return __half2float(__float2half_rn(x)); }

/// GELU in its tanh form (Hendrycks & Gimpel 2016), rounded to half before and after between -10 and 10, as
/// the CPU backend and the reference do.
inline __device__ float gelu(float x) {
    if (x >= 10.0f) return x;
    if (x <= -10.0f) return 0.0f;
    constexpr float kSqrtTwoOverPi = 0.7978845608028654f;
    const float h = round_to_half(x);
    return round_to_half(0.5f * h * (1.0f + tanhf(kSqrtTwoOverPi * (h + 0.044715f * h * h * h))));
}

}  // namespace assay::backend::cuda
