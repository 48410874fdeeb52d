// Cross-entropy over panels of the vocabulary: each row keeps the maximum so far and the sum of exponentials
// relative to it (Milakov & Gimelshein 2018).
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void start_kernel(std::int64_t rows, float* maximum, double* sum, float* target_logit) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (row >= rows) return;
    maximum[row] = -INFINITY;
    sum[row] = 0;
    target_logit[row] = 0;
}

__device__ float logit_at(const LossPanel& p, const float* row, std::int64_t col) {
    float logit = row[col];
    if (p.bias != nullptr) logit += p.bias[col];
    logit *= p.scale;
    return p.soft_cap > 0 ? p.soft_cap * tanhf(logit / p.soft_cap) : logit;
}

__global__ void fold_kernel(LossPanel p) {
    __shared__ float maxima[kThreads / 32];
    __shared__ double sums[32];
    const std::int64_t row = blockIdx.x;
    const std::int64_t target = p.targets[row];
    if (target < 0) return;
    const float* logits = static_cast<const float*>(p.logits.data) + row * p.logits.stride;
    float maximum = -INFINITY;
    for (std::int64_t col = threadIdx.x; col < p.logits.cols; col += kThreads)
        maximum = fmaxf(maximum, logit_at(p, logits, col));
    maximum = warp_max(maximum);
    if (threadIdx.x % 32 == 0) maxima[threadIdx.x / 32] = maximum;
    __syncthreads();
    for (const float other : maxima) maximum = fmaxf(maximum, other);
    const float before = p.maximum[row];
    maximum = fmaxf(maximum, before);
    double sum = 0;
    for (std::int64_t col = threadIdx.x; col < p.logits.cols; col += kThreads)
        sum += static_cast<double>(expf(logit_at(p, logits, col) - maximum));
    sum = block_sum(sum, sums);  // its barrier also keeps `before` ahead of the store below
    if (threadIdx.x != 0) return;
    p.maximum[row] = maximum;
    p.sum[row] = p.sum[row] * exp(static_cast<double>(before) - static_cast<double>(maximum)) + sum;
    if (target >= p.first && target - p.first < p.logits.cols)
        p.target_logit[row] = logit_at(p, logits, target - p.first);
}

}  // namespace

void start_losses(std::int64_t rows, float* maximum, double* sum, float* target_logit, cudaStream_t stream) {
    if (rows == 0) return;
    start_kernel<<<static_cast<unsigned>((rows + kThreads - 1) / kThreads), kThreads, 0, stream>>>(
        rows, maximum, sum, target_logit);
    check(cudaGetLastError(), "starting losses");
}

void fold_losses(const LossPanel& panel, cudaStream_t stream) {
    if (panel.logits.rows == 0) return;
    fold_kernel<<<static_cast<unsigned>(panel.logits.rows), kThreads, 0, stream>>>(panel);
    check(cudaGetLastError(), "losses");
}

}  // namespace assay::backend::cuda
