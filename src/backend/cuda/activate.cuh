// The activations of gated feed-forward networks.
#pragma once

#include "backend/backend.h"

namespace assay::backend::cuda {

/// SiLU: x / (1 + e^-x). GELU in its tanh form (Hendrycks & Gimpel 2016).
__device__ inline float activate(Activation activation, float x) {
    if (activation == Activation::Silu) return x / (1.0f + expf(-x));
    constexpr float kSqrtTwoOverPi = 0.7978845608028654f;
    return 0.5f * x * (1.0f + tanhf(kSqrtTwoOverPi * (x + 0.044715f * x * x * x)));
}

}  // namespace assay::backend::cuda
