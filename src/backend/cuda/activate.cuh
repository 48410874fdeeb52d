// The activations of gated feed-forward networks.
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

/// SiLU: x / (1 + e^-x), or GELU. kFast: SiLU a few f32 steps off, far below what rounding to bf16 takes.
template <bool kFast> __device__ float activate(Activation activation, float x) {
    if (activation == Activation::Silu)
        return kFast ? __fdividef(x, 1.0f + __expf(-x)) : x / (1.0f + expf(-x));
    return gelu(x);
}

}  // namespace assay::backend::cuda
