// Depthwise causal convolution: a thread walks down a column with the rows before in registers, so that each
// value is read once. Reading and writing are what it costs.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/functions.cuh"
#include "backend/cuda/kernels.h"
#include "backend/cuda/row_tiles.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 128;

struct Columns {
    const float* x;
    std::int64_t x_stride;
    const float* weight;
    const float* bias;
    int kernel;
    std::int64_t dilation;
    Activation activation;
    int cols;
    RowTiles tiles;
    float* out;
    std::int64_t out_stride;
};

/// kKernel 0: any, and any dilation, each value read once for each row that it counts in.
template <int kKernel> __global__ void convolve_kernel(Columns a) {
    const int col = static_cast<int>(blockIdx.y) * kThreads + static_cast<int>(threadIdx.x);
    if (col >= a.cols) return;
    const RowTile tile = tile_at(a.tiles, blockIdx.x);
    const std::int64_t begin = tile.chunk_begin, first = tile.first, last = tile.last;
    const float* x = a.x + col;
    float* out = a.out + col;
    const float bias = a.bias != nullptr ? a.bias[col] : 0.0f;
    if constexpr (kKernel == 0) {
        const float* weight = a.weight + static_cast<std::int64_t>(col) * a.kernel;
        for (std::int64_t row = first; row < last; ++row) {
            float sum = bias;
            for (int j = 0; j < a.kernel; ++j) {
                const std::int64_t from = row - (a.kernel - 1 - j) * a.dilation;
                if (from >= begin) sum += weight[j] * x[from * a.x_stride];
            }
            out[row * a.out_stride] = apply_function(a.activation, sum);
        }
    } else {
        float weight[kKernel];
        float window[kKernel];  // the rows that end with this one
#pragma unroll
        for (int j = 0; j < kKernel; ++j) weight[j] = a.weight[static_cast<std::int64_t>(col) * kKernel + j];
#pragma unroll
        for (int j = 1; j < kKernel; ++j) {
            const std::int64_t from = first - kKernel + j;
            window[j] = from >= begin ? x[from * a.x_stride] : 0.0f;
        }
#pragma unroll 8
        for (std::int64_t row = first; row < last; ++row) {
#pragma unroll
            for (int j = 1; j < kKernel; ++j) window[j - 1] = window[j];
            window[kKernel - 1] = x[row * a.x_stride];
            float sum = bias;
#pragma unroll
            for (int j = 0; j < kKernel; ++j) sum += weight[j] * window[j];
            out[row * a.out_stride] = apply_function(a.activation, sum);
        }
    }
}

}  // namespace

void convolve(const ConvolveArgs& args, const RowTiles& tiles, View out, cudaStream_t stream) {
    const View& x = args.x;
    if (tiles.n == 0 || x.cols == 0) return;
    Columns a{};
    a.x = static_cast<const float*>(x.data);
    a.x_stride = x.stride;
    a.weight = args.weight;
    a.bias = args.bias;
    a.kernel = static_cast<int>(args.kernel);
    a.dilation = args.dilation;
    a.activation = args.activation;
    a.cols = static_cast<int>(x.cols);
    a.tiles = tiles;
    a.out = static_cast<float*>(out.data);
    a.out_stride = out.stride;
    const dim3 grid(static_cast<unsigned>(tiles.n),
                    static_cast<unsigned>((x.cols + kThreads - 1) / kThreads));
    const std::int64_t together = args.dilation == 1 ? args.kernel : 0;
    if (together == 3)
        convolve_kernel<3><<<grid, kThreads, 0, stream>>>(a);
    else if (together == 4)
        convolve_kernel<4><<<grid, kThreads, 0, stream>>>(a);
    else
        convolve_kernel<0><<<grid, kThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "a convolution");
}

}  // namespace assay::backend::cuda
