// Operations on slices of a row: mixed streams, numbers of a slice, softmax, and the balanced matrix that
// mixes streams.
#include <cstdint>

#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

struct MixArgs {
    const float* x;
    std::int64_t x_stride;
    const float* coefficients;
    std::int64_t coefficients_stride;
    int n_in;
    int n_out;
    int width;
    bool accumulate;
    float* out;
    std::int64_t out_stride;
};

__global__ void mix_kernel(MixArgs a) {
    const int col = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
    if (col >= a.width) return;
    const std::int64_t row = blockIdx.x;
    const float* x = a.x + row * a.x_stride + col;
    const float* coefficients = a.coefficients + row * a.coefficients_stride;
    float* out = a.out + row * a.out_stride + col;
    float sums[kMaxStreams] = {};
    if (a.accumulate) {
#pragma unroll
        for (int j = 0; j < kMaxStreams; ++j)
            if (j < a.n_out) sums[j] = out[static_cast<std::int64_t>(j) * a.width];
    }
#pragma unroll 4
    for (int i = 0; i < a.n_in; ++i) {
        const float value = x[static_cast<std::int64_t>(i) * a.width];
#pragma unroll
        for (int j = 0; j < kMaxStreams; ++j)
            if (j < a.n_out) sums[j] += coefficients[j * a.n_in + i] * value;
    }
#pragma unroll
    for (int j = 0; j < kMaxStreams; ++j)
        if (j < a.n_out) out[static_cast<std::int64_t>(j) * a.width] = sums[j];
}

struct SliceArgs {
    const float* x;
    std::int64_t x_stride;
    int n_slices;
    int width;
    float* out;
    std::int64_t out_stride;
};

/// A slice and its block.
struct Slice {
    __device__ explicit Slice(const SliceArgs& a)
        : row(blockIdx.x / static_cast<unsigned>(a.n_slices)),
          index(static_cast<int>(blockIdx.x % static_cast<unsigned>(a.n_slices))),
          width(a.width),
          x(a.x + row * a.x_stride + static_cast<std::int64_t>(index) * a.width) {}

    template <typename Body> __device__ void each(Body body) const {
        for (int i = static_cast<int>(threadIdx.x); i < width; i += static_cast<int>(blockDim.x)) body(i);
    }
    template <typename Term> __device__ float sum(float* scratch, Term term) const {
        float total = 0;
        each([&](int i) { total += term(x[i]); });
        return block_sum(total, scratch);
    }

    std::int64_t row;
    int index;
    int width;
    const float* x;
};

__global__ void reduce_kernel(SliceArgs a, Reduction kind) {
    __shared__ float scratch[2][32];
    const Slice slice(a);
    float result;
    if (kind == Reduction::Length) {
        result = sqrtf(slice.sum(scratch[0], [](float v) { return v * v; }));
    } else {
        result = slice.sum(scratch[0], [](float v) { return v; });
        if (kind != Reduction::Sum) result /= static_cast<float>(slice.width);
        if (kind == Reduction::Deviation) {
            const float mean = result;
            result = sqrtf(slice.sum(scratch[1], [mean](float v) { return (v - mean) * (v - mean); }) /
                           static_cast<float>(slice.width - 1));
        }
    }
    if (threadIdx.x == 0) a.out[slice.row * a.out_stride + slice.index] = result;
}

__global__ void softmax_kernel(SliceArgs a) {
    __shared__ float scratch[2][32];
    const Slice slice(a);
    float largest = -INFINITY;
    slice.each([&](int i) { largest = fmaxf(largest, slice.x[i]); });
    largest = warp_max(largest);
    if (threadIdx.x % 32 == 0) scratch[0][threadIdx.x / 32] = largest;
    __syncthreads();
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) largest = fmaxf(largest, scratch[0][warp]);
    const float factor = 1.0f / slice.sum(scratch[1], [largest](float v) { return expf(v - largest); });
    float* out = a.out + slice.row * a.out_stride + static_cast<std::int64_t>(slice.index) * slice.width;
    slice.each([&](int i) { out[i] = expf(slice.x[i] - largest) * factor; });
}

/// One row a thread.
template <int kN>
__global__ void sinkhorn_kernel(const float* x, std::int64_t x_stride, float* out, std::int64_t out_stride,
                                std::int64_t n_rows, std::int64_t iterations, float eps) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (row >= n_rows) return;
    float values[kN][kN];  // [src][dst]
#pragma unroll
    for (int src = 0; src < kN; ++src) {
        float largest = -INFINITY;
#pragma unroll
        for (int dst = 0; dst < kN; ++dst) {
            values[src][dst] = x[row * x_stride + src * kN + dst];
            largest = fmaxf(largest, values[src][dst]);
        }
        float sum = 0;
#pragma unroll
        for (int dst = 0; dst < kN; ++dst) sum += values[src][dst] = expf(values[src][dst] - largest);
#pragma unroll
        for (int dst = 0; dst < kN; ++dst) values[src][dst] = values[src][dst] / sum + eps;
    }
    const auto divide = [&](auto element) {
#pragma unroll
        for (int i = 0; i < kN; ++i) {
            float sum = eps;
#pragma unroll
            for (int j = 0; j < kN; ++j) sum += element(i, j);
#pragma unroll
            for (int j = 0; j < kN; ++j) element(i, j) /= sum;
        }
    };
    const auto over_src = [&](int i, int j) -> float& { return values[j][i]; };
    const auto over_dst = [&](int i, int j) -> float& { return values[i][j]; };
    divide(over_src);
    for (std::int64_t i = 1; i < iterations; ++i) {
        divide(over_dst);
        divide(over_src);
    }
#pragma unroll
    for (int src = 0; src < kN; ++src)
#pragma unroll
        for (int dst = 0; dst < kN; ++dst) out[row * out_stride + dst * kN + src] = values[src][dst];
}

SliceArgs slices(View x, std::int64_t n_slices, View out) {
    return {static_cast<const float*>(x.data), x.stride,
            static_cast<int>(n_slices),        static_cast<int>(x.cols / n_slices),
            static_cast<float*>(out.data),     out.stride};
}

/// By the width alone: which thread adds what must not depend on the call.
unsigned slice_threads(int width) { return width <= 256 ? 32 : kThreads; }

}  // namespace

void mix(View x, View coefficients, std::int64_t n_in, std::int64_t n_out, bool accumulate, View out,
         cudaStream_t stream) {
    MixArgs a{};
    a.x = static_cast<const float*>(x.data);
    a.x_stride = x.stride;
    a.coefficients = static_cast<const float*>(coefficients.data);
    a.coefficients_stride = coefficients.stride;
    a.n_in = static_cast<int>(n_in);
    a.n_out = static_cast<int>(n_out);
    a.width = static_cast<int>(x.cols / n_in);
    a.accumulate = accumulate;
    a.out = static_cast<float*>(out.data);
    a.out_stride = out.stride;
    if (x.rows == 0 || a.width == 0) return;
    const dim3 grid(static_cast<unsigned>(x.rows),
                    static_cast<unsigned>((a.width + kThreads - 1) / kThreads));
    mix_kernel<<<grid, kThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "mixing streams");
}

void reduce(View x, Reduction kind, std::int64_t n_slices, View out, cudaStream_t stream) {
    if (x.rows == 0) return;
    const SliceArgs a = slices(x, n_slices, out);
    reduce_kernel<<<static_cast<unsigned>(x.rows * n_slices), slice_threads(a.width), 0, stream>>>(a, kind);
    check(cudaGetLastError(), "reducing rows");
}

void softmax(View x, std::int64_t n_slices, View out, cudaStream_t stream) {
    if (x.rows == 0) return;
    const SliceArgs a = slices(x, n_slices, out);
    softmax_kernel<<<static_cast<unsigned>(x.rows * n_slices), slice_threads(a.width), 0, stream>>>(a);
    check(cudaGetLastError(), "a softmax");
}

void sinkhorn(View x, std::int64_t n, std::int64_t iterations, float eps, View out, cudaStream_t stream) {
    if (x.rows == 0) return;
    const auto blocks = static_cast<unsigned>((x.rows + kThreads - 1) / kThreads);
    const auto launch = [&](auto kernel) {
        kernel<<<blocks, kThreads, 0, stream>>>(static_cast<const float*>(x.data), x.stride,
                                                static_cast<float*>(out.data), out.stride, x.rows, iterations,
                                                eps);
    };
    switch (n) {
        case 1: launch(sinkhorn_kernel<1>); break;
        case 2: launch(sinkhorn_kernel<2>); break;
        case 3: launch(sinkhorn_kernel<3>); break;
        case 4: launch(sinkhorn_kernel<4>); break;
        case 5: launch(sinkhorn_kernel<5>); break;
        case 6: launch(sinkhorn_kernel<6>); break;
        case 7: launch(sinkhorn_kernel<7>); break;
        default: launch(sinkhorn_kernel<8>); break;
    }
    check(cudaGetLastError(), "balancing streams");
}

}  // namespace assay::backend::cuda
