// Losses and divergences over panels of the vocabulary: one block per row; each side keeps the maximum so far
// and the sum of exponentials relative to it (Milakov & Gimelshein 2018).
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void start_kernel(std::int64_t rows, ScoreRow* state) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (row >= rows) return;
    state[row] = {{-INFINITY, 0, 0, 0, -1}, {-INFINITY, 0, 0, 0, -1}};
}

/// A row of one side of a panel.
struct LogitRow {
    const Logits& logits;
    const float* products;
    const float* bias;

    __device__ float at(std::int64_t col) const {
        float logit = products[col];
        if (bias != nullptr) logit += bias[col];
        logit *= logits.scale;
        return logits.soft_cap > 0 ? logits.soft_cap * tanhf(logit / logits.soft_cap) : logit;
    }
};

/// The largest logit of the row's panel, for every thread. scratch: one for each warp.
__device__ Best largest_logit(const LogitRow& row, std::int64_t cols, Best* scratch) {
    Best best{-INFINITY, 0};
    for (std::int64_t col = threadIdx.x; col < cols; col += kThreads)
        if (const float logit = row.at(col); logit > best.value) best = {logit, static_cast<int>(col)};
    best = warp_best(best);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = best;
    __syncthreads();
    for (int warp = 0; warp < kThreads / 32; ++warp)
        if (before(scratch[warp], best)) best = scratch[warp];
    return best;
}

__device__ void add_panel(ScoreSide& side, Best largest, std::int64_t first, double sum, double weighted) {
    const float previous = side.maximum;
    if (largest.value > previous) side.top = first + largest.index;
    side.maximum = fmaxf(previous, largest.value);
    const double shrink = exp(static_cast<double>(previous) - static_cast<double>(side.maximum));
    const double scale = exp(static_cast<double>(largest.value) - static_cast<double>(side.maximum));
    side.sum = side.sum * shrink + sum * scale;
    side.weighted = side.weighted * shrink + weighted * scale;
}

__global__ void fold_kernel(ScorePanel p) {
    __shared__ Best maxima_a[kThreads / 32];
    __shared__ Best maxima_b[kThreads / 32];
    __shared__ double sums_a[32];
    __shared__ double sums_b[32];
    __shared__ double sums_weighted[32];
    const std::int64_t row = blockIdx.x;
    const std::int64_t target = p.targets[row];
    if (target < 0) return;
    const bool varied = p.b.data != nullptr;
    const LogitRow a{p.logits, static_cast<const float*>(p.a.data) + row * p.a.stride, p.bias_a};
    const LogitRow b{p.logits, varied ? static_cast<const float*>(p.b.data) + row * p.b.stride : nullptr,
                     p.bias_b};
    const Best largest_a = largest_logit(a, p.a.cols, maxima_a);
    const Best largest_b = varied ? largest_logit(b, p.a.cols, maxima_b) : Best{};
    double sum_a = 0;
    double sum_b = 0;
    double weighted = 0;
    for (std::int64_t col = threadIdx.x; col < p.a.cols; col += kThreads) {
        const float x = a.at(col);
        const float power = expf(x - largest_a.value);
        sum_a += static_cast<double>(power);
        if (!varied) continue;
        const float y = b.at(col);
        sum_b += static_cast<double>(expf(y - largest_b.value));
        weighted += static_cast<double>(power) * static_cast<double>(x - y);
    }
    sum_a = block_sum(sum_a, sums_a);
    if (varied) {
        sum_b = block_sum(sum_b, sums_b);
        weighted = block_sum(weighted, sums_weighted);
    }
    if (threadIdx.x != 0) return;
    const std::int64_t own = target - p.logits.first;
    const bool here = own >= 0 && own < p.a.cols;
    ScoreRow& state = p.state[row];
    add_panel(state.a, largest_a, p.logits.first, sum_a, weighted);
    if (here) state.a.target_logit = a.at(own);
    if (!varied) return;
    add_panel(state.b, largest_b, p.logits.first, sum_b, 0);
    if (here) state.b.target_logit = b.at(own);
}

}  // namespace

void start_scores(std::int64_t rows, ScoreRow* state, cudaStream_t stream) {
    if (rows == 0) return;
    start_kernel<<<static_cast<unsigned>((rows + kThreads - 1) / kThreads), kThreads, 0, stream>>>(rows,
                                                                                                   state);
    check(cudaGetLastError(), "starting scores");
}

void fold_scores(const ScorePanel& panel, cudaStream_t stream) {
    if (panel.a.rows == 0) return;
    fold_kernel<<<static_cast<unsigned>(panel.a.rows), kThreads, 0, stream>>>(panel);
    check(cudaGetLastError(), "scores");
}

}  // namespace assay::backend::cuda
