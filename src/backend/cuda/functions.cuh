// The functions of one number (Activation), to a few f32 steps of their results.
#pragma once

#include "backend/cuda/activate.cuh"

namespace assay::backend::cuda {

inline __device__ float apply_function(Activation activation, float x) {
    switch (activation) {
        case Activation::Identity: return x;
        case Activation::Silu: return x / (1.0f + expf(-x));
        case Activation::Gelu: return gelu(x);
        // Comparisons leave NaN as it is.
        case Activation::Relu: return x < 0 ? 0.0f : x;
        case Activation::Relu2: return x < 0 ? 0.0f : x * x;
        case Activation::Sigmoid: return 1.0f / (1.0f + expf(-x));
        case Activation::Tanh: return tanhf(x);
        case Activation::Exp: return expf(x);
        case Activation::Softplus: return x > 20.0f ? x : log1pf(expf(x));
        // From 24 on 2^-x is no longer seen beside x.
        case Activation::Log2OnePlusExp2: return x > 24.0f ? x : log1pf(exp2f(x)) * 1.44269504088896341f;
        case Activation::SignedRoot: {
            const float magnitude = fabsf(x);
            const float root = sqrtf(magnitude < 1e-6f ? 1e-6f : magnitude);
            return x == 0 ? x : copysignf(root, x);
        }
    }
    return x;
}

}  // namespace assay::backend::cuda
