// Rows in expert order: gathered, activated, and added back. A block takes the pairs of one chunk and one
// expert in row order, so that their sums do not depend on the call.
#include "backend/cuda/activate.cuh"
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/routing.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 128;

struct Pairs {
    std::int64_t start;  ///< position
    std::int64_t count;
    std::int64_t sums;  ///< index of the sums' row
};

__device__ Pairs pairs_of_block(const PackArgs& a) {
    const std::int64_t chunk = blockIdx.z;
    const std::int64_t at = chunk * a.routing.n_experts + a.first + blockIdx.y;
    return {a.routing.starts[at], a.routing.counts[at], chunk * a.sums_batch + a.sums_first + blockIdx.y};
}

__device__ void store_sums(const Sums& sums, std::int64_t at, float squares, float plain) {
    if (sums.squares != nullptr) sums.squares[at] = squares;
    if (sums.plain != nullptr) sums.plain[at] = plain;
}

template <typename Operand> __global__ void gather_kernel(PackArgs a, View x, View packed, Sums sums) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= x.cols) return;
    const Pairs pairs = pairs_of_block(a);
    float squares = 0;
    float plain = 0;
#pragma unroll 4
    for (std::int64_t i = 0; i < pairs.count; ++i) {
        const std::int64_t position = pairs.start + i;
        const float y = static_cast<const float*>(x.data)[a.routing.rows[position] * x.stride + col];
        static_cast<Operand*>(packed.data)[(position - a.base) * packed.stride + col] = round_to<Operand>(y);
        squares += y * y;
        plain += y;
    }
    store_sums(sums, pairs.sums * x.cols + col, squares, plain);
}

template <typename In, typename Operand>
__global__ void gate_kernel(PackArgs a, View product, Activation activation, View packed, Sums sums) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= packed.cols) return;
    const Pairs pairs = pairs_of_block(a);
    float squares = 0;
    float plain = 0;
#pragma unroll 4
    for (std::int64_t i = 0; i < pairs.count; ++i) {
        const std::int64_t row = pairs.start + i - a.base;
        const In* from = static_cast<const In*>(product.data) + row * product.stride + col;
        const float y =
            activate<sizeof(In) == 2>(activation, to_float(from[0])) * to_float(from[packed.cols]);
        static_cast<Operand*>(packed.data)[row * packed.stride + col] = round_to<Operand>(y);
        squares += y * y;
        plain += y;
    }
    store_sums(sums, pairs.sums * packed.cols + col, squares, plain);
}

/// One block a row and panel of columns. The row's experts of this batch are few: each is found anew as the
/// next larger one.
__global__ void scatter_kernel(PackArgs a, View packed, View out) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.y) * kThreads + threadIdx.x;
    if (col >= out.cols) return;
    const std::int64_t row = blockIdx.x;
    const std::int64_t n_used = a.routing.n_used;
    const std::int32_t* experts = a.routing.experts + row * n_used;
    std::int64_t last = a.first - 1;
    float* to = static_cast<float*>(out.data) + row * out.stride + col;
    float sum = 0;
    bool touched = false;
    for (;;) {
        std::int64_t best = a.first + a.n;
        std::int64_t slot = -1;
        for (std::int64_t i = 0; i < n_used; ++i) {
            if (experts[i] <= last || experts[i] >= best) continue;
            best = experts[i];
            slot = i;
        }
        if (slot < 0) break;
        if (!touched) sum = *to;
        touched = true;
        const std::int64_t at = a.routing.positions[row * n_used + slot] - a.base;
        sum += a.routing.weights[row * n_used + slot] *
               static_cast<const float*>(packed.data)[at * packed.stride + col];
        last = best;
    }
    if (touched) *to = sum;
}

dim3 grid_of(const PackArgs& args, std::int64_t cols) {
    return dim3(static_cast<unsigned>((cols + kThreads - 1) / kThreads), static_cast<unsigned>(args.n),
                static_cast<unsigned>(args.routing.n_chunks));
}

}  // namespace

void gather_rows(const PackArgs& args, View x, View packed, const Sums& sums, cudaStream_t stream) {
    if (args.n == 0 || x.rows == 0) return;
    dispatch(packed.dtype, [&](auto operand) {
        gather_kernel<decltype(operand)>
            <<<grid_of(args, x.cols), kThreads, 0, stream>>>(args, x, packed, sums);
    });
    check(cudaGetLastError(), "gathering rows for experts");
}

void gate_packed(const PackArgs& args, View product, Activation activation, View packed, const Sums& sums,
                 cudaStream_t stream) {
    if (args.n == 0 || args.routing.n_rows == 0) return;
    dispatch(product.dtype, [&](auto in) {
        dispatch(packed.dtype, [&](auto operand) {
            gate_kernel<decltype(in), decltype(operand)><<<grid_of(args, packed.cols), kThreads, 0, stream>>>(
                args, product, activation, packed, sums);
        });
    });
    check(cudaGetLastError(), "gated activations of experts");
}

void scatter_rows(const PackArgs& args, View packed, View out, cudaStream_t stream) {
    if (args.n == 0 || out.rows == 0) return;
    const dim3 grid(static_cast<unsigned>(out.rows),
                    static_cast<unsigned>((out.cols + kThreads - 1) / kThreads));
    scatter_kernel<<<grid, kThreads, 0, stream>>>(args, packed, out);
    check(cudaGetLastError(), "adding what experts return");
}

}  // namespace assay::backend::cuda
