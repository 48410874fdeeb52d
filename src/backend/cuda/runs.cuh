// Several elements of a row at a time.
#pragma once

#include "backend/cuda/convert.cuh"

namespace assay::backend::cuda {

template <typename T, int kCols> struct alignas(kCols * sizeof(T)) Run { T values[kCols]; };

/// Rounds kCols values to `to`; wide: the place is aligned for a whole run.
template <int kCols, typename T> __device__ void store_run(T* to, const float* values, bool wide) {
    Run<T, kCols> run;
#pragma unroll
    for (int c = 0; c < kCols; ++c) run.values[c] = round_to<T>(values[c]);
    if (wide) {
        *reinterpret_cast<Run<T, kCols>*>(to) = run;
    } else {
#pragma unroll
        for (int c = 0; c < kCols; ++c) to[c] = run.values[c];
    }
}

/// Whether all rows of a matrix start at a multiple of kCols elements.
template <int kCols> bool rows_aligned(const void* data, std::int64_t stride, DType dtype) {
    const auto step = static_cast<std::uintptr_t>(kCols * size_of(dtype));
    return reinterpret_cast<std::uintptr_t>(data) % step == 0 && stride % kCols == 0;
}

}  // namespace assay::backend::cuda
