// Keys of whole blocks, and an indexer's choice among them.
#include <cstdint>

#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"
#include "backend/cuda/row_tiles.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kPerLane = kMostIndexerHead / 32;

struct PoolKernelArgs {
    PoolArgs pool;
    RowPositions rows;
    View out;
};

__device__ float at(const View& view, std::int64_t row, std::int64_t col) {
    return static_cast<const float*>(view.data)[row * view.stride + col];
}

/// A thread takes one column of one row: what it adds comes in the order of the tokens.
__global__ void pool_kernel(PoolKernelArgs a) {
    const std::int64_t row = blockIdx.x;
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.y) * kThreads + threadIdx.x;
    if (col >= a.out.cols) return;
    const std::int64_t block = a.pool.block_tokens, position = position_at(a.rows, row);
    float* out = static_cast<float*>(a.out.data) + row * a.out.stride + col;
    if (position % block != 0 || !has_rows(a.rows, row, block)) {
        *out = 0;
        return;
    }
    // Rows [first, last) from the block before take column `col`, the block's own the second half's.
    const std::int64_t own = a.pool.overlapping ? a.out.cols + col : col;
    const std::int64_t before = a.pool.overlapping && position >= block ? block : 0;
    const auto column = [&](std::int64_t i) { return i < before ? col : own; };
    const auto score = [&](std::int64_t i) {
        const std::int64_t c = column(i);
        const float gate = a.pool.gate.data != nullptr ? at(a.pool.gate, row - before + i, c) : 0.0f;
        const float bias = a.pool.bias != nullptr ? a.pool.bias[i % block * a.pool.x.cols + c] : 0.0f;
        return gate + bias;
    };
    float largest = -INFINITY;
    for (std::int64_t i = 0; i < before + block; ++i) largest = fmaxf(largest, score(i));
    float sum = 0, total = 0;
    for (std::int64_t i = 0; i < before + block; ++i) {
        const float weight = expf(score(i) - largest);
        sum += weight;
        total += weight * at(a.pool.x, row - before + i, column(i));
    }
    *out = total / sum;
}

struct SelectKernelArgs {
    SelectArgs select;
    RowPositions rows;
    View out;
};

/// Unsigned numbers in the order of floats.
__device__ std::uint32_t ordered(float x) {
    const std::uint32_t bits = __float_as_uint(x + 0.0f);  // -0 becomes 0
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/// Scores of the row's candidates, a warp for each key in turn.
__device__ void score_keys(const SelectKernelArgs& a, std::int64_t row, std::int64_t base, std::int64_t n,
                           float* scores) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int dim = static_cast<int>(a.select.k.cols);
    for (std::int64_t j = threadIdx.x / 32; j < n; j += kThreads / 32) {
        float key[kPerLane];
        for (int i = 0; i < kPerLane; ++i)
            key[i] =
                lane + 32 * i < dim ? at(a.select.k, base + j * a.select.block_tokens, lane + 32 * i) : 0.0f;
        float score = 0;
        for (std::int64_t head = 0; head < a.select.n_heads; ++head) {
            float dot = 0;
            for (int i = 0; i < kPerLane; ++i)
                if (lane + 32 * i < dim) dot += key[i] * at(a.select.q, row, head * dim + lane + 32 * i);
            const float weight = a.select.weights.data != nullptr ? at(a.select.weights, row, head) : 1.0f;
            score += weight * fmaxf(warp_sum(dot), 0.0f);
        }
        if (lane == 0) scores[j] = score;
    }
}

/// A block takes one row. Scores lie in the result until they are replaced by the choice.
__global__ void select_kernel(SelectKernelArgs a) {
    __shared__ int scratch[2][32];
    const std::int64_t row = blockIdx.x;
    const std::int64_t position = position_at(a.rows, row), n = (position + 1) / a.select.block_tokens;
    float* out = static_cast<float*>(a.out.data) + row * a.out.stride;
    const bool all = n <= a.select.n_chosen;
    const std::int64_t tail = a.select.tail && n * a.select.block_tokens <= position ? n : -1;
    for (std::int64_t j = threadIdx.x; j < a.out.cols; j += kThreads)
        if (all || j >= n) out[j] = j < n || j == tail ? 1.0f : 0.0f;
    if (all) return;
    score_keys(a, row, row - position, n, out);
    __syncthreads();
    // The least of the chosen scores, bit by bit: the largest that n_chosen scores reach.
    std::uint32_t threshold = 0;
    int turn = 0;
    const auto count = [&](auto wanted) {
        int found = 0;
        for (std::int64_t j = threadIdx.x; j < n; j += kThreads) found += wanted(ordered(out[j])) ? 1 : 0;
        return block_sum(found, scratch[turn++ % 2]);
    };
    for (int bit = 31; bit >= 0; --bit) {
        const std::uint32_t raised = threshold | 1u << bit;
        if (count([raised](std::uint32_t s) { return s >= raised; }) >= a.select.n_chosen) threshold = raised;
    }
    const int above = count([threshold](std::uint32_t s) { return s > threshold; });
    // Equals go in by their place.
    const std::int64_t left = a.select.n_chosen - above;
    for (std::int64_t first = n - 1; first >= 0; first -= static_cast<std::int64_t>(kThreads)) {
        const std::int64_t j = first - static_cast<std::int64_t>(threadIdx.x);
        bool chosen = false;
        if (j >= 0) {
            const std::uint32_t score = ordered(out[j]);
            chosen = score > threshold;
            if (score == threshold) {
                std::int64_t equals = 0;
                for (std::int64_t i = 0; i < j && equals < left; ++i) equals += ordered(out[i]) == threshold;
                chosen = equals < left;
            }
        }
        // Later keys read the scores of earlier ones only, so that these may go now.
        __syncthreads();
        if (j >= 0) out[j] = chosen ? 1.0f : 0.0f;
        __syncthreads();
    }
}

}  // namespace

void pool(const PoolArgs& args, const RowPositions& rows, View out, cudaStream_t stream) {
    if (rows.n_rows == 0) return;
    const dim3 grid(static_cast<unsigned>(rows.n_rows),
                    static_cast<unsigned>((out.cols + kThreads - 1) / kThreads));
    pool_kernel<<<grid, kThreads, 0, stream>>>({args, rows, out});
    check(cudaGetLastError(), "pool");
}

void select(const SelectArgs& args, const RowPositions& rows, View out, cudaStream_t stream) {
    if (rows.n_rows == 0) return;
    select_kernel<<<static_cast<unsigned>(rows.n_rows), kThreads, 0, stream>>>({args, rows, out});
    check(cudaGetLastError(), "select");
}

}  // namespace assay::backend::cuda
