// Small operations on rows: rounding, copying heads, dot products.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

template <typename In, typename Out>
__global__ void round_kernel(const In* x, std::int64_t x_stride, Out* out, std::int64_t out_stride,
                             std::int64_t cols) {
    const std::int64_t row = blockIdx.x;
    for (std::int64_t col = threadIdx.x; col < cols; col += kThreads)
        out[row * out_stride + col] = round_to<Out>(to_float(x[row * x_stride + col]));
}

template <typename In, typename Out>
__global__ void copy_kernel(const In* x, std::int64_t x_stride, std::int64_t width, Out* out,
                            std::int64_t out_stride, std::int64_t out_width, std::int64_t count) {
    const std::int64_t row = blockIdx.x;
    const std::int64_t head = blockIdx.y;
    for (std::int64_t col = threadIdx.x; col < count; col += blockDim.x)
        out[row * out_stride + head * out_width + col] =
            round_to<Out>(to_float(x[row * x_stride + head * width + col]));
}

__global__ void dots_kernel(View a, View b, double* out) {
    __shared__ double scratch[3][32];
    const std::int64_t row = blockIdx.x;
    const float* x = static_cast<const float*>(a.data) + row * a.stride;
    const float* y = static_cast<const float*>(b.data) + row * b.stride;
    double xx = 0, yy = 0, xy = 0;
    for (std::int64_t col = threadIdx.x; col < a.cols; col += kThreads) {
        const double u = x[col], v = y[col];
        xx += u * u;
        yy += v * v;
        xy += u * v;
    }
    xx = block_sum(xx, scratch[0]);
    yy = block_sum(yy, scratch[1]);
    xy = block_sum(xy, scratch[2]);
    if (threadIdx.x == 0) {
        out[3 * row] = xx;
        out[3 * row + 1] = yy;
        out[3 * row + 2] = xy;
    }
}

}  // namespace

void round_rows(View x, View out, cudaStream_t stream) {
    if (x.rows == 0) return;
    dispatch(x.dtype, [&](auto in) {
        dispatch(out.dtype, [&](auto to) {
            using In = decltype(in);
            using Out = decltype(to);
            round_kernel<<<static_cast<unsigned>(x.rows), kThreads, 0, stream>>>(
                static_cast<const In*>(x.data), x.stride, static_cast<Out*>(out.data), out.stride, x.cols);
        });
    });
    check(cudaGetLastError(), "rounding rows");
}

void copy_columns(View x, const HeadColumns& heads, View out, cudaStream_t stream) {
    if (x.rows == 0 || heads.count == 0) return;
    const dim3 grid(static_cast<unsigned>(x.rows), static_cast<unsigned>(heads.n_heads));
    dispatch(x.dtype, [&](auto in) {
        dispatch(out.dtype, [&](auto to) {
            using In = decltype(in);
            using Out = decltype(to);
            copy_kernel<<<grid, heads.count <= 64 ? 32 : 128, 0, stream>>>(
                static_cast<const In*>(x.data) + heads.first, x.stride,
                heads.spread ? 0 : x.cols / heads.n_heads, static_cast<Out*>(out.data) + heads.out_first,
                out.stride, out.cols / heads.n_heads, heads.count);
        });
    });
    check(cudaGetLastError(), "copying heads");
}

void row_dots(View a, View b, double* out, cudaStream_t stream) {
    if (a.rows == 0) return;
    dots_kernel<<<static_cast<unsigned>(a.rows), kThreads, 0, stream>>>(a, b, out);
    check(cudaGetLastError(), "row products");
}

}  // namespace assay::backend::cuda
