// Loads and stores of the two number types that kernels meet.
#pragma once

#include <cstdint>
#include <cuda_bf16.h>

#include "backend/backend.h"

namespace assay::backend::cuda {

using Bf16 = __nv_bfloat16;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bf16 x) { return __bfloat162float(x); }

template <typename T> __device__ T round_to(float x);
template <> __device__ inline float round_to<float>(float x) { return x; }
template <> __device__ inline Bf16 round_to<Bf16>(float x) { return __float2bfloat16_rn(x); }

/// Calls f with a value of the C++ type of a DType: dispatch(view.dtype, [&](auto t) { using T = decltype(t);
/// }).
template <typename F> void dispatch(DType dtype, F&& f) {
    if (dtype == DType::F32)
        f(float{});
    else
        f(Bf16{});
}

}  // namespace assay::backend::cuda
