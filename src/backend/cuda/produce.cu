// Norms, and everything else that walks whole rows: each thread keeps its columns of a row in registers, and
// their sums over the rows of the group.
#include <algorithm>

#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

void refuse_columns(std::int64_t cols, std::int64_t limit);

namespace {

struct RowArgs {
    const void* x;
    std::int64_t x_stride;
    int cols;
    std::int64_t chunk_tokens;
    Norm norm;
    void* operand;
    std::int64_t operand_stride;
    float* plain;
    std::int64_t plain_stride;
    float* residual;
    std::int64_t residual_stride;
    Partials partials;
};

template <int kPerThread, int kThreads>
__device__ void normalise(const Norm& norm, int cols, float (&x)[kPerThread], float (*scratch)[32]) {
    const auto n = static_cast<float>(cols);
    if (norm.kind == NormKind::None) return;
    float mean = 0;
    if (norm.kind == NormKind::Layer) {
        float sum = 0;
#pragma unroll
        for (int j = 0; j < kPerThread; ++j) sum += x[j];
        mean = block_sum(sum, scratch[0]) / n;
    }
    float squares = 0;
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
        const int col = static_cast<int>(threadIdx.x) + j * kThreads;
        x[j] = col < cols ? x[j] - mean : 0.0f;
        squares += x[j] * x[j];
    }
    const float scale = 1.0f / sqrtf(block_sum(squares, scratch[1]) / n + norm.eps);
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
        const int col = static_cast<int>(threadIdx.x) + j * kThreads;
        if (col >= cols) continue;
        x[j] *= scale;
        if (norm.weight != nullptr) x[j] *= norm.weight[col];
        if (norm.bias != nullptr) x[j] += norm.bias[col];
    }
}

template <typename In, typename Operand, int kPerThread, int kThreads>
__global__ void __launch_bounds__(kThreads, kThreads <= 512 ? 1024 / kThreads : 1) row_kernel(RowArgs a) {
    __shared__ float scratch[2][2][32];  // rows in turn; mean, squares
    const std::int64_t group = blockIdx.x;
    const std::int64_t chunk = blockIdx.y;
    const std::int64_t first = group * kProduceGroup;
    const std::int64_t last = min(first + kProduceGroup, a.chunk_tokens);
    float squares[kPerThread] = {};
    float plain[kPerThread] = {};
    const auto load = [&](std::int64_t row, float(&to)[kPerThread]) {
        const In* from = static_cast<const In*>(a.x) + row * a.x_stride;
#pragma unroll
        for (int j = 0; j < kPerThread; ++j) {
            const int col = static_cast<int>(threadIdx.x) + j * kThreads;
            to[j] = col < a.cols ? to_float(from[col]) : 0.0f;
        }
    };
    const std::int64_t end = chunk * a.chunk_tokens + last;
    const auto finish = [&](std::int64_t row, float(&next)[kPerThread], float(*turn)[32]) {
        float x[kPerThread];
#pragma unroll
        for (int j = 0; j < kPerThread; ++j) x[j] = next[j];
        if (row + 2 < end) load(row + 2, next);
        normalise<kPerThread, kThreads>(a.norm, a.cols, x, turn);
#pragma unroll
        for (int j = 0; j < kPerThread; ++j) {
            const int col = static_cast<int>(threadIdx.x) + j * kThreads;
            if (col >= a.cols) continue;
            if (a.operand != nullptr)
                static_cast<Operand*>(a.operand)[row * a.operand_stride + col] = round_to<Operand>(x[j]);
            if (a.plain != nullptr) a.plain[row * a.plain_stride + col] = x[j];
            if (a.residual != nullptr) a.residual[row * a.residual_stride + col] += x[j];
            squares[j] += x[j] * x[j];
            plain[j] += x[j];
        }
    };
    // Two rows are under way ahead of the one at hand.
    float even[kPerThread];
    float odd[kPerThread];
    const std::int64_t begin = chunk * a.chunk_tokens + first;
    load(begin, even);
    if (begin + 1 < end) load(begin + 1, odd);
    for (std::int64_t row = begin; row < end; row += 2) {
        finish(row, even, scratch[0]);
        if (row + 1 < end) finish(row + 1, odd, scratch[1]);
    }
    if (a.partials.squares == nullptr && a.partials.plain == nullptr) return;
    const std::int64_t to = (chunk * a.partials.n_groups + group) * a.cols;
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) {
        const int col = static_cast<int>(threadIdx.x) + j * kThreads;
        if (col >= a.cols) continue;
        if (a.partials.squares != nullptr) a.partials.squares[to + col] = squares[j];
        if (a.partials.plain != nullptr) a.partials.plain[to + col] = plain[j];
    }
}

template <typename In, typename Operand, int kPerThread, int kThreads>
void launch_block(const RowArgs& a, dim3 grid, cudaStream_t stream) {
    row_kernel<In, Operand, kPerThread, kThreads><<<grid, kThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "a row operation");
}

/// The smallest block that holds a row. Up to 8192 columns everything stays in registers.
template <typename In, typename Operand> void launch_rows(const RowArgs& a, dim3 grid, cudaStream_t stream) {
    if (a.cols <= 1024) return launch_block<In, Operand, 4, 256>(a, grid, stream);
    if (a.cols <= 2048) return launch_block<In, Operand, 8, 256>(a, grid, stream);
    if (a.cols <= 4096) return launch_block<In, Operand, 8, 512>(a, grid, stream);
    if (a.cols <= 8192) return launch_block<In, Operand, 8, 1024>(a, grid, stream);
    if (a.cols <= 16384) return launch_block<In, Operand, 16, 1024>(a, grid, stream);
    if (a.cols <= 32768) return launch_block<In, Operand, 32, 1024>(a, grid, stream);
    refuse_columns(a.cols, 32768);
}

void dispatch_rows(View x, DType operand, const RowArgs& a, dim3 grid, cudaStream_t stream) {
    if (grid.x == 0 || grid.y == 0) return;
    dispatch(x.dtype, [&](auto in) {
        dispatch(operand, [&](auto out) { launch_rows<decltype(in), decltype(out)>(a, grid, stream); });
    });
}

unsigned groups_of(std::int64_t rows) {
    return static_cast<unsigned>((rows + kProduceGroup - 1) / kProduceGroup);
}

}  // namespace

void produce(View x, const Norm& norm, Rows rows, const Produced& out, const Partials& partials,
             cudaStream_t stream) {
    RowArgs a{};
    a.x = x.data;
    a.x_stride = x.stride;
    a.cols = static_cast<int>(x.cols);
    a.chunk_tokens = rows.chunk_tokens;
    a.norm = norm;
    a.operand = out.operand.data;
    a.operand_stride = out.operand.stride;
    a.plain = static_cast<float*>(out.plain.data);
    a.plain_stride = out.plain.stride;
    a.partials = partials;
    dispatch_rows(x, out.operand.dtype, a,
                  dim3(groups_of(rows.chunk_tokens), static_cast<unsigned>(rows.n_chunks)), stream);
}

void add_rows(View x, const Norm& norm, View residual, cudaStream_t stream) {
    RowArgs a{};
    a.x = x.data;
    a.x_stride = x.stride;
    a.cols = static_cast<int>(x.cols);
    a.chunk_tokens = x.rows;
    a.norm = norm;
    a.residual = static_cast<float*>(residual.data);
    a.residual_stride = residual.stride;
    dispatch_rows(x, DType::F32, a, dim3(groups_of(x.rows), 1), stream);
}

}  // namespace assay::backend::cuda
