// What a feed-forward makes of a gate and a value.
#pragma once

#include "backend/cuda/functions.cuh"

namespace assay::backend::cuda {

/// SiLU and GELU: kernels have these two without a choice among the others.
constexpr bool is_common(const GateFunction& f) {
    return f.kind == GateKind::Activated &&
           (f.activation == Activation::Silu || f.activation == Activation::Gelu);
}

// Comparisons leave NaN as it is.
inline __device__ float at_most(float x, float limit) { return x > limit ? limit : x; }
inline __device__ float within(float x, float limit) { return x < -limit ? -limit : at_most(x, limit); }

/// kFast: SiLU a few f32 steps off, far below what rounding to bf16 takes.
template <bool kFast> __device__ float silu(float x) {
    return kFast ? __fdividef(x, 1.0f + __expf(-x)) : x / (1.0f + expf(-x));
}

template <bool kFast, bool kCommon> __device__ float gated(const GateFunction& f, float g, float u) {
    if (kCommon) return (f.activation == Activation::Silu ? silu<kFast>(g) : gelu(g)) * u;
    switch (f.kind) {
        case GateKind::Activated: return apply_function(f.activation, g) * u;
        case GateKind::ClampedBefore: return silu<kFast>(at_most(g, f.limit)) * within(u, f.limit);
        case GateKind::ClampedAfter: return at_most(silu<kFast>(g), f.limit) * within(u, f.limit);
        case GateKind::SwigluOai: {
            const float h = at_most(g, f.limit);
            return h / (1.0f + expf(-f.slope * h)) * (within(u, f.limit) + 1.0f);
        }
        case GateKind::Situ:
            return f.slope * tanhf(g / f.slope) / (1.0f + expf(-g)) * (f.limit * tanhf(u / f.limit));
    }
    return NAN;
}

}  // namespace assay::backend::cuda
