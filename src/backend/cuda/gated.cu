// The gated activation: each thread owns a few columns side by side and walks the rows of its tile.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/gate_function.cuh"
#include "backend/cuda/kernels.h"
#include "backend/cuda/row_tiles.cuh"
#include "backend/cuda/runs.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 128;

struct GateArgs {
    const void* product;
    std::int64_t stride;
    std::int64_t ffn;
    RowTiles tiles;
    const float* bias;
    GateFunction function;
    void* operand;
    std::int64_t operand_stride;
    float* plain;
    std::int64_t plain_stride;
    Partials partials;
};

/// kCols > 1 where every row starts at a multiple of 16 bytes and ffn is a multiple of kCols.
template <typename In, typename Operand, int kCols, bool kCommon> __global__ void gate_kernel(GateArgs a) {
    const std::int64_t col = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCols;
    if (col >= a.ffn) return;
    const unsigned index = blockIdx.z * gridDim.y + blockIdx.y;
    const RowTile tile = tile_at(a.tiles, index);
    float gate_bias[kCols] = {};
    float up_bias[kCols] = {};
    if (a.bias != nullptr) {
        for (int j = 0; j < kCols; ++j) {
            gate_bias[j] = a.bias[col + j];
            up_bias[j] = a.bias[a.ffn + col + j];
        }
    }
    const In* from = static_cast<const In*>(a.product) + col;
    float squares[kCols] = {};
    float plain[kCols] = {};
#pragma unroll 2
    for (std::int64_t row = tile.first; row < tile.last; ++row) {
        const float weight = weight_at(a.tiles, row);
        const auto gates = *reinterpret_cast<const Run<In, kCols>*>(from + row * a.stride);
        const auto ups = *reinterpret_cast<const Run<In, kCols>*>(from + row * a.stride + a.ffn);
        Run<Operand, kCols> rounded;
#pragma unroll
        for (int j = 0; j < kCols; ++j) {
            const float y = gated<sizeof(In) == 2, kCommon>(
                a.function, to_float(gates.values[j]) + gate_bias[j], to_float(ups.values[j]) + up_bias[j]);
            rounded.values[j] = round_to<Operand>(y);
            if (a.plain != nullptr) a.plain[row * a.plain_stride + col + j] = y;
            const float weighted = weight * y;
            squares[j] += weighted * y;
            plain[j] += weighted;
        }
        if (a.operand != nullptr)
            *reinterpret_cast<Run<Operand, kCols>*>(static_cast<Operand*>(a.operand) +
                                                    row * a.operand_stride + col) = rounded;
    }
    const std::int64_t to = index * a.ffn + col;
    for (int j = 0; j < kCols; ++j) {
        if (a.partials.squares != nullptr) a.partials.squares[to + j] = squares[j];
        if (a.partials.plain != nullptr) a.partials.plain[to + j] = plain[j];
    }
}

template <typename In, typename Operand, int kCols> void launch(const GateArgs& a, cudaStream_t stream) {
    const std::int64_t cols_a_block = kThreads * kCols;
    const dim3 grid(static_cast<unsigned>((a.ffn + cols_a_block - 1) / cols_a_block), a.tiles.grid_tiles(),
                    a.tiles.grid_chunks());
    if (is_common(a.function))
        gate_kernel<In, Operand, kCols, true><<<grid, kThreads, 0, stream>>>(a);
    else
        gate_kernel<In, Operand, kCols, false><<<grid, kThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "a gated activation");
}

}  // namespace

void gate(View product, const float* bias, const GateFunction& function, const RowTiles& tiles,
          const Produced& out, const Partials& partials, cudaStream_t stream) {
    if (tiles.n == 0) return;
    GateArgs a{};
    a.product = product.data;
    a.stride = product.stride;
    a.ffn = product.cols / 2;
    a.tiles = tiles;
    a.bias = bias;
    a.function = function;
    a.operand = out.operand.data;
    a.operand_stride = out.operand.stride;
    a.plain = static_cast<float*>(out.plain.data);
    a.plain_stride = out.plain.stride;
    a.partials = partials;
    dispatch(product.dtype, [&](auto in) {
        dispatch(out.operand.dtype, [&](auto operand) {
            using In = decltype(in);
            using Operand = decltype(operand);
            constexpr int kCols = 16 / sizeof(In);
            if (a.ffn % kCols == 0 && rows_aligned<kCols>(a.product, a.stride, product.dtype) &&
                rows_aligned<kCols>(a.operand, a.operand_stride, out.operand.dtype))
                launch<In, Operand, kCols>(a, stream);
            else
                launch<In, Operand, 1>(a, stream);
        });
    });
}

}  // namespace assay::backend::cuda
