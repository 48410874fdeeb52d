// Rows in expert order: gathered, activated, and added back. A block takes the pairs of one chunk and one
// expert in row order, so that their sums do not depend on the call.
#include <type_traits>

#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/gate_function.cuh"
#include "backend/cuda/routing.h"
#include "backend/cuda/runs.cuh"

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

/// What the row of a pair counts.
__device__ float row_weight(const RoutingView& routing, std::int64_t position) {
    return routing.row_weights != nullptr ? routing.row_weights[routing.rows[position]] : 1.0f;
}

template <int kCols>
__device__ void store_sums(const Sums& sums, std::int64_t at, const float* squares, const float* plain) {
    for (int c = 0; c < kCols; ++c) {
        if (sums.squares != nullptr) sums.squares[at + c] = squares[c];
        if (sums.plain != nullptr) sums.plain[at + c] = plain[c];
    }
}

/// kCols > 1 where every row is aligned for runs of kCols and made of whole runs; so in all kernels here.
template <int kCols> __device__ std::int64_t first_column(unsigned panel) {
    return (static_cast<std::int64_t>(panel) * kThreads + threadIdx.x) * kCols;
}

template <typename Operand, int kCols>
__global__ void gather_kernel(PackArgs a, View x, View packed, Sums sums) {
    const std::int64_t col = first_column<kCols>(blockIdx.x);
    if (col >= x.cols) return;
    const Pairs pairs = pairs_of_block(a);
    const float* from = static_cast<const float*>(x.data) + col;
    Operand* to = static_cast<Operand*>(packed.data) + (pairs.start - a.base) * packed.stride + col;
    float squares[kCols] = {};
    float plain[kCols] = {};
#pragma unroll 4
    for (std::int64_t i = 0; i < pairs.count; ++i) {
        auto run =
            *reinterpret_cast<const Run<float, kCols>*>(from + a.routing.rows[pairs.start + i] * x.stride);
        if (a.weigh_input) {
#pragma unroll
            for (int c = 0; c < kCols; ++c) run.values[c] *= a.routing.placed_weights[pairs.start + i];
        }
        store_run<kCols>(to + i * packed.stride, run.values, true);
        const float weight = row_weight(a.routing, pairs.start + i);
#pragma unroll
        for (int c = 0; c < kCols; ++c) {
            const float weighted = weight * run.values[c];
            squares[c] += weighted * run.values[c];
            plain[c] += weighted;
        }
    }
    store_sums<kCols>(sums, pairs.sums * x.cols + col, squares, plain);
}

/// kCommon: gated, by SiLU or GELU, without bias.
template <typename In, typename Operand, int kCols, bool kCommon>
__global__ void gate_kernel(PackArgs a, View product, GateArgs gate, View packed, Sums sums) {
    const std::int64_t col = first_column<kCols>(blockIdx.x);
    if (col >= packed.cols) return;
    const Pairs pairs = pairs_of_block(a);
    const In* from = static_cast<const In*>(product.data) + (pairs.start - a.base) * product.stride + col;
    Operand* to = static_cast<Operand*>(packed.data) + (pairs.start - a.base) * packed.stride + col;
    float squares[kCols] = {};
    float plain[kCols] = {};
    const std::int64_t to_up = kCommon || gate.gated ? packed.cols : 0;
    const float* bias =
        gate.bias != nullptr ? gate.bias + (a.sums_first + blockIdx.y) * product.cols + col : nullptr;
#pragma unroll 4
    for (std::int64_t i = 0; i < pairs.count; ++i) {
        const auto gates = *reinterpret_cast<const Run<In, kCols>*>(from + i * product.stride);
        const auto ups = *reinterpret_cast<const Run<In, kCols>*>(from + i * product.stride + to_up);
        const float weight = row_weight(a.routing, pairs.start + i);
        float y[kCols];
#pragma unroll
        for (int c = 0; c < kCols; ++c) {
            float g = to_float(gates.values[c]);
            float u = to_float(ups.values[c]);
            if (!kCommon && bias != nullptr) {
                g += bias[c];
                u += bias[to_up + c];
            }
            y[c] = kCommon || gate.gated ? gated<sizeof(In) == 2, kCommon>(gate.function, g, u)
                                         : apply_function(gate.function.activation, g);
            const float weighted = weight * y[c];
            squares[c] += weighted * y[c];
            plain[c] += weighted;
        }
        store_run<kCols>(to + i * packed.stride, y, true);
    }
    store_sums<kCols>(sums, pairs.sums * packed.cols + col, squares, plain);
}

/// One block a row and panel of columns. The row's experts of this batch are few: each is found anew as the
/// next larger one.
template <int kCols>
__global__ void scatter_kernel(PackArgs a, View packed, const float* bias, Activation activation, View out) {
    const std::int64_t col = first_column<kCols>(blockIdx.y);
    if (col >= out.cols) return;
    const std::int64_t row = blockIdx.x;
    const int n_used = static_cast<int>(a.routing.n_used);
    const std::int32_t* experts = a.routing.experts + row * n_used;
    const auto end = static_cast<std::int32_t>(a.first + a.n);
    // In increasing order of expert, then of slot: a row may go to an expert twice.
    auto last = static_cast<std::int32_t>(a.first) - 1;
    int last_slot = n_used;
    auto* to = reinterpret_cast<Run<float, kCols>*>(static_cast<float*>(out.data) + row * out.stride + col);
    Run<float, kCols> sum;
    bool touched = false;
    for (;;) {
        std::int32_t best = end;
        int slot = -1;
        for (int i = 0; i < n_used; ++i) {
            const bool done = experts[i] < last || (experts[i] == last && i <= last_slot);
            if (done || experts[i] >= best) continue;
            best = experts[i];
            slot = i;
        }
        if (slot < 0) break;
        if (!touched) sum = *to;
        touched = true;
        const std::int64_t at = a.routing.positions[row * n_used + slot] - a.base;
        const float weight = a.weigh_input ? 1.0f : a.routing.weights[row * n_used + slot];
        auto run = *reinterpret_cast<const Run<float, kCols>*>(static_cast<const float*>(packed.data) +
                                                               at * packed.stride + col);
        if (bias != nullptr) {
#pragma unroll
            for (int c = 0; c < kCols; ++c)
                run.values[c] += bias[(best - a.first + a.sums_first) * out.cols + col + c];
        }
        if (activation != Activation::Identity) {
#pragma unroll
            for (int c = 0; c < kCols; ++c) run.values[c] = apply_function(activation, run.values[c]);
        }
#pragma unroll
        for (int c = 0; c < kCols; ++c) sum.values[c] += weight * run.values[c];
        last = best;
        last_slot = slot;
    }
    if (touched) *to = sum;
}

constexpr int kWide = 4;

unsigned panels(std::int64_t cols, int cols_a_thread) {
    const std::int64_t cols_a_block = std::int64_t{kThreads} * cols_a_thread;
    return static_cast<unsigned>((cols + cols_a_block - 1) / cols_a_block);
}

dim3 grid_of(const PackArgs& args, std::int64_t cols, int cols_a_thread) {
    return dim3(panels(cols, cols_a_thread), static_cast<unsigned>(args.n),
                static_cast<unsigned>(args.routing.n_chunks));
}

bool is_wide(const View& view) {
    return view.cols % kWide == 0 && rows_aligned<kWide>(view.data, view.stride, view.dtype);
}

/// Calls f with the columns that a thread may take at a time, as a constant.
template <typename F> void dispatch_width(bool wide, F&& f) {
    if (wide)
        f(std::integral_constant<int, kWide>{});
    else
        f(std::integral_constant<int, 1>{});
}

}  // namespace

void gather_rows(const PackArgs& args, View x, View packed, const Sums& sums, cudaStream_t stream) {
    if (args.n == 0 || x.rows == 0) return;
    dispatch(packed.dtype, [&](auto operand) {
        dispatch_width(is_wide(x) && is_wide(packed), [&](auto cols) {
            gather_kernel<decltype(operand), cols()>
                <<<grid_of(args, x.cols, cols()), kThreads, 0, stream>>>(args, x, packed, sums);
        });
    });
    check(cudaGetLastError(), "gathering rows for experts");
}

void gate_packed(const PackArgs& args, View product, const GateArgs& gate, View packed, const Sums& sums,
                 cudaStream_t stream) {
    if (args.n == 0 || args.routing.n_rows == 0) return;
    dispatch(product.dtype, [&](auto in) {
        dispatch(packed.dtype, [&](auto operand) {
            dispatch_width(is_wide(product) && is_wide(packed), [&](auto cols) {
                const dim3 grid = grid_of(args, packed.cols, cols());
                if (gate.gated && gate.bias == nullptr && is_common(gate.function))
                    gate_kernel<decltype(in), decltype(operand), cols(), true>
                        <<<grid, kThreads, 0, stream>>>(args, product, gate, packed, sums);
                else
                    gate_kernel<decltype(in), decltype(operand), cols(), false>
                        <<<grid, kThreads, 0, stream>>>(args, product, gate, packed, sums);
            });
        });
    });
    check(cudaGetLastError(), "gated activations of experts");
}

void scatter_rows(const PackArgs& args, View packed, const float* bias, Activation activation, View out,
                  cudaStream_t stream) {
    if (args.n == 0 || out.rows == 0) return;
    dispatch_width(is_wide(packed) && is_wide(out), [&](auto cols) {
        const dim3 grid(static_cast<unsigned>(out.rows), panels(out.cols, cols()));
        scatter_kernel<cols()><<<grid, kThreads, 0, stream>>>(args, packed, bias, activation, out);
    });
    check(cudaGetLastError(), "adding what experts return");
}

}  // namespace assay::backend::cuda
