// Sums and maxima over a warp or a block in a fixed tree; every thread gets the result.
#pragma once

namespace assay::backend::cuda {

template <typename T> __device__ T warp_sum(T x) {
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
    return x;
}

__device__ inline float warp_max(float x) {
    for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
    return x;
}

struct Best {
    float value;
    int index;
};

/// Larger first, then lower index.
__device__ inline bool before(Best a, Best b) {
    return a.value > b.value || (a.value == b.value && a.index < b.index);
}

__device__ inline Best warp_best(Best best) {
    for (int offset = 16; offset > 0; offset /= 2) {
        const Best other{__shfl_xor_sync(0xffffffffu, best.value, offset),
                         __shfl_xor_sync(0xffffffffu, best.index, offset)};
        if (before(other, best)) best = other;
    }
    return best;
}

/// scratch: one T per warp, at least 32, not read or written since the last barrier but one: callers that sum
/// again and again take turns between two. The block's size is a multiple of 32.
template <typename T> __device__ T block_sum(T x, T* scratch) {
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    T sum = 0;
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) sum += scratch[warp];
    return sum;
}

}  // namespace assay::backend::cuda
