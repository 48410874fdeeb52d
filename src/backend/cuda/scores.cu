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
    state[row] = {{-INFINITY, 0, 0, 0}, {-INFINITY, 0, 0, 0}};
}

__device__ float logit_at(const Logits& logits, const float* row, std::int64_t col) {
    float logit = row[col];
    if (logits.bias != nullptr) logit += logits.bias[col];
    logit *= logits.scale;
    return logits.soft_cap > 0 ? logits.soft_cap * tanhf(logit / logits.soft_cap) : logit;
}

/// The largest logit of the row's panel, for every thread. scratch: one float per warp.
__device__ float largest_logit(const ScorePanel& p, const float* row, float* scratch) {
    float largest = -INFINITY;
    for (std::int64_t col = threadIdx.x; col < p.a.cols; col += kThreads)
        largest = fmaxf(largest, logit_at(p.logits, row, col));
    largest = warp_max(largest);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = largest;
    __syncthreads();
    for (int warp = 0; warp < kThreads / 32; ++warp) largest = fmaxf(largest, scratch[warp]);
    return largest;
}

__device__ void add_panel(ScoreSide& side, float largest, double sum, double weighted) {
    const float before = side.maximum;
    side.maximum = fmaxf(before, largest);
    const double shrink = exp(static_cast<double>(before) - static_cast<double>(side.maximum));
    const double scale = exp(static_cast<double>(largest) - static_cast<double>(side.maximum));
    side.sum = side.sum * shrink + sum * scale;
    side.weighted = side.weighted * shrink + weighted * scale;
}

__global__ void fold_kernel(ScorePanel p) {
    __shared__ float maxima_a[kThreads / 32];
    __shared__ float maxima_b[kThreads / 32];
    __shared__ double sums_a[32];
    __shared__ double sums_b[32];
    __shared__ double sums_weighted[32];
    const std::int64_t row = blockIdx.x;
    const std::int64_t target = p.targets[row];
    if (target < 0) return;
    const float* a = static_cast<const float*>(p.a.data) + row * p.a.stride;
    const bool varied = p.b.data != nullptr;
    const float* b = varied ? static_cast<const float*>(p.b.data) + row * p.b.stride : nullptr;
    const float largest_a = largest_logit(p, a, maxima_a);
    const float largest_b = varied ? largest_logit(p, b, maxima_b) : 0;
    double sum_a = 0;
    double sum_b = 0;
    double weighted = 0;
    for (std::int64_t col = threadIdx.x; col < p.a.cols; col += kThreads) {
        const float x = logit_at(p.logits, a, col);
        const float power = expf(x - largest_a);
        sum_a += static_cast<double>(power);
        if (!varied) continue;
        const float y = logit_at(p.logits, b, col);
        sum_b += static_cast<double>(expf(y - largest_b));
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
    add_panel(state.a, largest_a, sum_a, weighted);
    if (here) state.a.target_logit = logit_at(p.logits, a, own);
    if (!varied) return;
    add_panel(state.b, largest_b, sum_b, 0);
    if (here) state.b.target_logit = logit_at(p.logits, b, own);
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
