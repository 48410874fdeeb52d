// The activations of gated feed-forward networks.
#pragma once

#include "backend/backend.h"

namespace assay::backend::cuda {

/// SiLU: x / (1 + e^-x). GELU in its tanh form (Hendrycks & Gimpel 2016). kFast: a few f32 steps off, far
/// below what rounding to bf16 takes.
template <bool kFast> __device__ float activate(Activation activation, float x) {
    if (activation == Activation::Silu)
        return kFast ? __fdividef(x, 1.0f + __expf(-x)) : x / (1.0f + expf(-x));
    constexpr float kSqrtTwoOverPi = 0.7978845608028654f;
    return 0.5f * x * (1.0f + tanhf(kSqrtTwoOverPi * (x + 0.044715f * x * x * x)));
}

}  // namespace assay::backend::cuda
