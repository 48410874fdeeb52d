// Norms, and everything else that walks whole rows: each thread keeps its columns of a row in registers, and
// their sums over the rows of the tile.
#include <algorithm>

#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/norm.cuh"
#include "backend/cuda/reduce.cuh"
#include "backend/cuda/row_tiles.cuh"
#include "backend/cuda/runs.cuh"

namespace assay::backend::cuda {

void refuse_columns(std::int64_t cols, std::int64_t limit);

namespace {

struct RowArgs {
    const void* x;
    std::int64_t x_stride;
    int cols;
    RowTiles tiles;
    Norm norm;
    void* operand;
    std::int64_t operand_stride;
    float* plain;
    std::int64_t plain_stride;
    float* residual;
    float residual_scale;
    std::int64_t residual_stride;
    bool wide_operand;  ///< rows aligned for whole runs
    bool wide_plain;
    Partials partials;
};

/// The column of a thread's element j: runs of kCols side by side, the threads' runs side by side.
template <int kCols, int kThreads> __device__ int column(int j) {
    return (static_cast<int>(threadIdx.x) + j / kCols * kThreads) * kCols + j % kCols;
}

template <int kPerThread, int kThreads, int kCols>
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
        x[j] = column<kCols, kThreads>(j) < cols ? x[j] - mean : 0.0f;
        squares += x[j] * x[j];
    }
    const float scale = norm_factor(norm.kind, block_sum(squares, scratch[1]), n, norm.eps);
#pragma unroll
    for (int j = 0; j < kPerThread; ++j) x[j] *= scale;
    if (norm.weight != nullptr) {
#pragma unroll
        for (int j = 0; j < kPerThread; ++j)
            if (column<kCols, kThreads>(j) < cols) x[j] *= norm.weight[column<kCols, kThreads>(j)];
    }
    if (norm.bias != nullptr) {
#pragma unroll
        for (int j = 0; j < kPerThread; ++j)
            if (column<kCols, kThreads>(j) < cols) x[j] += norm.bias[column<kCols, kThreads>(j)];
    }
}

template <typename In, typename Operand, int kPerThread, int kThreads, int kCols>
__global__ void __launch_bounds__(kThreads, kThreads <= 512 ? 1024 / kThreads : 1) row_kernel(RowArgs a) {
    __shared__ float scratch[2][2][32];  // rows in turn; mean, squares
    const unsigned index = blockIdx.y * gridDim.x + blockIdx.x;
    const RowTile tile = tile_at(a.tiles, index);
    const std::int64_t begin = tile.first;
    const std::int64_t end = tile.last;
    float squares[kPerThread] = {};
    float plain[kPerThread] = {};
    const auto load = [&](std::int64_t row, float(&to)[kPerThread]) {
        const In* from = static_cast<const In*>(a.x) + row * a.x_stride;
#pragma unroll
        for (int j = 0; j < kPerThread; j += kCols) {
            const int col = column<kCols, kThreads>(j);
            Run<In, kCols> run{};
            if (col < a.cols) run = *reinterpret_cast<const Run<In, kCols>*>(from + col);
#pragma unroll
            for (int c = 0; c < kCols; ++c) to[j + c] = to_float(run.values[c]);
        }
    };
    const auto finish = [&](std::int64_t row, float(&next)[kPerThread], float(*turn)[32]) {
        float x[kPerThread];
#pragma unroll
        for (int j = 0; j < kPerThread; ++j) x[j] = next[j];
        if (row + 2 < end) load(row + 2, next);
        normalise<kPerThread, kThreads, kCols>(a.norm, a.cols, x, turn);
        const float weight = weight_at(a.tiles, row);
        Operand* operand = static_cast<Operand*>(a.operand) + row * a.operand_stride;
        float* kept = a.plain + row * a.plain_stride;
        float* residual = a.residual + row * a.residual_stride;
#pragma unroll
        for (int j = 0; j < kPerThread; j += kCols) {
            const int col = column<kCols, kThreads>(j);
            if (col >= a.cols) continue;
            if (a.operand != nullptr) store_run<kCols>(operand + col, x + j, a.wide_operand);
            if (a.plain != nullptr) store_run<kCols>(kept + col, x + j, a.wide_plain);
            if (a.residual != nullptr) {
#pragma unroll
                for (int c = 0; c < kCols; ++c) residual[col + c] += a.residual_scale * x[j + c];
            }
#pragma unroll
            for (int c = 0; c < kCols; ++c) {
                const float weighted = weight * x[j + c];
                squares[j + c] += weighted * x[j + c];
                plain[j + c] += weighted;
            }
        }
    };
    // Two rows are under way ahead of the one at hand.
    float even[kPerThread];
    float odd[kPerThread];
    load(begin, even);
    if (begin + 1 < end) load(begin + 1, odd);
    for (std::int64_t row = begin; row < end; row += 2) {
        finish(row, even, scratch[0]);
        if (row + 1 < end) finish(row + 1, odd, scratch[1]);
    }
    const std::int64_t to = index * a.partials.cols;
#pragma unroll
    for (int j = 0; j < kPerThread; j += kCols) {
        const int col = column<kCols, kThreads>(j);
        if (col >= a.cols) continue;
        if (a.partials.squares != nullptr)
            store_run<kCols>(a.partials.squares + to + col, squares + j, kCols > 1);
        if (a.partials.plain != nullptr) store_run<kCols>(a.partials.plain + to + col, plain + j, kCols > 1);
    }
}

/// The smallest block that holds a row. Up to 8192 columns everything stays in registers.
template <typename In, typename Operand, int kCols>
void launch_rows(const RowArgs& a, dim3 grid, cudaStream_t stream) {
    if (a.cols <= 1024)
        row_kernel<In, Operand, 4, 256, kCols><<<grid, 256, 0, stream>>>(a);
    else if (a.cols <= 2048)
        row_kernel<In, Operand, 8, 256, kCols><<<grid, 256, 0, stream>>>(a);
    else if (a.cols <= 4096)
        row_kernel<In, Operand, 8, 512, kCols><<<grid, 512, 0, stream>>>(a);
    else if (a.cols <= 8192)
        row_kernel<In, Operand, 8, 1024, kCols><<<grid, 1024, 0, stream>>>(a);
    else if (a.cols <= 16384)
        row_kernel<In, Operand, 16, 1024, kCols><<<grid, 1024, 0, stream>>>(a);
    else if (a.cols <= 32768)
        row_kernel<In, Operand, 32, 1024, kCols><<<grid, 1024, 0, stream>>>(a);
    else
        refuse_columns(a.cols, 32768);
    check(cudaGetLastError(), "a row operation");
}

constexpr int kWide = 4;  ///< columns side by side
/// Columns that nothing joins go a piece at a time: what heads leave may be wider than any block (MLA).
constexpr std::int64_t kPieceColumns = 8192;

void dispatch_rows(View x, DType operand, const RowArgs& a, dim3 grid, cudaStream_t stream) {
    if (grid.x == 0 || grid.y == 0) return;
    dispatch(x.dtype, [&](auto in) {
        dispatch(operand, [&](auto out) {
            // By the input alone: which thread sums what must not depend on what else is wanted.
            if (a.cols % kWide == 0 && rows_aligned<kWide>(x.data, x.stride, x.dtype))
                launch_rows<decltype(in), decltype(out), kWide>(a, grid, stream);
            else
                launch_rows<decltype(in), decltype(out), 1>(a, grid, stream);
        });
    });
}

}  // namespace

void produce(View x, const Norm& norm, const RowTiles& tiles, const Produced& out, const Partials& partials,
             cudaStream_t stream) {
    if (norm.kind == NormKind::None && x.cols > kPieceColumns) {
        for (std::int64_t first = 0; first < x.cols; first += kPieceColumns) {
            const std::int64_t n = std::min(kPieceColumns, x.cols - first);
            const auto piece = [&](const View& of) { return of.present() ? of.col_range(first, n) : of; };
            Partials sums = partials;
            if (sums.squares != nullptr) sums.squares += first;
            if (sums.plain != nullptr) sums.plain += first;
            produce(piece(x), norm, tiles, {piece(out.operand), piece(out.plain), {}}, sums, stream);
        }
        return;
    }
    RowArgs a{};
    a.x = x.data;
    a.x_stride = x.stride;
    a.cols = static_cast<int>(x.cols);
    a.tiles = tiles;
    a.norm = norm;
    a.operand = out.operand.data;
    a.operand_stride = out.operand.stride;
    a.plain = static_cast<float*>(out.plain.data);
    a.plain_stride = out.plain.stride;
    a.wide_operand = rows_aligned<kWide>(a.operand, a.operand_stride, out.operand.dtype);
    a.wide_plain = rows_aligned<kWide>(a.plain, a.plain_stride, DType::F32);
    a.partials = partials;
    dispatch_rows(x, out.operand.dtype, a, dim3(tiles.grid_tiles(), tiles.grid_chunks()), stream);
}

void add_rows(View x, const Norm& norm, float scale, View residual, cudaStream_t stream) {
    RowArgs a{};
    a.x = x.data;
    a.x_stride = x.stride;
    a.cols = static_cast<int>(x.cols);
    a.tiles = tiles_of({1, x.rows}, kProduceTile);
    a.norm = norm;
    a.residual = static_cast<float*>(residual.data);
    a.residual_stride = residual.stride;
    a.residual_scale = scale;
    dispatch_rows(x, DType::F32, a, dim3(a.tiles.grid_tiles(), 1), stream);
}

}  // namespace assay::backend::cuda
