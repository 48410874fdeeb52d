// Divergences between output distributions over panels of the vocabulary: one block per row, with the steps
// of losses.cu for both sides.
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void start_kernel(std::int64_t rows, DivergenceRow* state) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (row >= rows) return;
    state[row] = {{-INFINITY, 0, 0, 0}, {-INFINITY, 0, 0, 0}};
}

__device__ float logit_at(const DivergencePanel& p, const float* row, std::int64_t col) {
    float logit = row[col];
    if (p.bias != nullptr) logit += p.bias[col];
    logit *= p.scale;
    return p.soft_cap > 0 ? p.soft_cap * tanhf(logit / p.soft_cap) : logit;
}

/// The largest logit of the row's panel, for every thread. scratch: one float per warp.
__device__ float largest_logit(const DivergencePanel& p, const float* row, float* scratch) {
    float largest = -INFINITY;
    for (std::int64_t col = threadIdx.x; col < p.a.cols; col += kThreads)
        largest = fmaxf(largest, logit_at(p, row, col));
    largest = warp_max(largest);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = largest;
    __syncthreads();
    for (int warp = 0; warp < kThreads / 32; ++warp) largest = fmaxf(largest, scratch[warp]);
    return largest;
}

__device__ void add_panel(DivergenceSide& side, float largest, double sum, double weighted) {
    const float before = side.maximum;
    side.maximum = fmaxf(before, largest);
    const double shrink = exp(static_cast<double>(before) - static_cast<double>(side.maximum));
    const double scale = exp(static_cast<double>(largest) - static_cast<double>(side.maximum));
    side.sum = side.sum * shrink + sum * scale;
    side.weighted = side.weighted * shrink + weighted * scale;
}

__global__ void fold_kernel(DivergencePanel p) {
    __shared__ float maxima_a[kThreads / 32];
    __shared__ float maxima_b[kThreads / 32];
    __shared__ double sums_a[32];
    __shared__ double sums_b[32];
    __shared__ double sums_weighted[32];
    const std::int64_t row = blockIdx.x;
    const std::int64_t target = p.targets[row];
    if (target < 0) return;
    const float* a = static_cast<const float*>(p.a.data) + row * p.a.stride;
    const float* b = static_cast<const float*>(p.b.data) + row * p.b.stride;
    const float largest_a = largest_logit(p, a, maxima_a);
    const float largest_b = largest_logit(p, b, maxima_b);
    double sum_a = 0;
    double sum_b = 0;
    double weighted = 0;
    for (std::int64_t col = threadIdx.x; col < p.a.cols; col += kThreads) {
        const float x = logit_at(p, a, col);
        const float y = logit_at(p, b, col);
        const float power = expf(x - largest_a);
        sum_a += static_cast<double>(power);
        sum_b += static_cast<double>(expf(y - largest_b));
        weighted += static_cast<double>(power) * static_cast<double>(x - y);
    }
    sum_a = block_sum(sum_a, sums_a);
    sum_b = block_sum(sum_b, sums_b);
    weighted = block_sum(weighted, sums_weighted);
    if (threadIdx.x != 0) return;
    DivergenceRow& state = p.state[row];
    add_panel(state.a, largest_a, sum_a, weighted);
    add_panel(state.b, largest_b, sum_b, 0);
    if (target >= p.first && target - p.first < p.a.cols) {
        state.a.target_logit = logit_at(p, a, target - p.first);
        state.b.target_logit = logit_at(p, b, target - p.first);
    }
}

}  // namespace

void start_divergence(std::int64_t rows, DivergenceRow* state, cudaStream_t stream) {
    if (rows == 0) return;
    start_kernel<<<static_cast<unsigned>((rows + kThreads - 1) / kThreads), kThreads, 0, stream>>>(rows,
                                                                                                   state);
    check(cudaGetLastError(), "starting divergences");
}

void fold_divergence(const DivergencePanel& panel, cudaStream_t stream) {
    if (panel.a.rows == 0) return;
    fold_kernel<<<static_cast<unsigned>(panel.a.rows), kThreads, 0, stream>>>(panel);
    check(cudaGetLastError(), "divergences");
}

}  // namespace assay::backend::cuda
