// Norms of slices of rows, of any length: a block takes a slice and reads it once for each of its sums.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/norm.cuh"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

struct SliceArgs {
    View x;
    View out;
    Norm norm;
    std::int64_t length;
};

/// Each thread reads and writes columns of its own, so that out may be x.
template <typename In, typename Out> __global__ void slice_kernel(SliceArgs a) {
    __shared__ float scratch[2][32];
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * a.length;
    const In* x = static_cast<const In*>(a.x.data) + blockIdx.x * a.x.stride + first;
    Out* out = static_cast<Out*>(a.out.data) + blockIdx.x * a.out.stride + first;
    const std::int64_t own = a.norm.repeats ? 0 : first;
    const auto n = static_cast<float>(a.length);
    float mean = 0;
    if (a.norm.kind == NormKind::Layer) {
        float sum = 0;
        for (std::int64_t c = threadIdx.x; c < a.length; c += blockDim.x) sum += to_float(x[c]);
        mean = block_sum(sum, scratch[0]) / n;
    }
    float squares = 0;
    for (std::int64_t c = threadIdx.x; c < a.length; c += blockDim.x) {
        const float v = to_float(x[c]) - mean;
        squares += v * v;
    }
    const float factor = norm_factor(a.norm.kind, block_sum(squares, scratch[1]), n, a.norm.eps);
    for (std::int64_t c = threadIdx.x; c < a.length; c += blockDim.x) {
        float y = (to_float(x[c]) - mean) * factor;
        if (a.norm.weight != nullptr) y *= a.norm.weight[own + c];
        if (a.norm.bias != nullptr) y += a.norm.bias[own + c];
        out[c] = round_to<Out>(y);
    }
}

}  // namespace

void norm_slices(View x, const Norm& norm, View out, cudaStream_t stream) {
    if (x.rows == 0 || x.cols == 0) return;
    const SliceArgs a{x, out, norm, x.cols / norm.n_slices};
    const unsigned threads = a.length <= 64 ? 32 : a.length <= 512 ? 128 : 512;
    const dim3 grid(static_cast<unsigned>(x.rows), static_cast<unsigned>(norm.n_slices));
    dispatch(x.dtype, [&](auto in) {
        dispatch(out.dtype,
                 [&](auto to) { slice_kernel<decltype(in), decltype(to)><<<grid, threads, 0, stream>>>(a); });
    });
    check(cudaGetLastError(), "norms of slices");
}

}  // namespace assay::backend::cuda
