#include "backend/cuda/device.h"
#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

/// blockIdx.z: squares, plain sums; one of them may be unwanted.
__global__ void add_groups(Partials partials, Sums sums) {
    const std::int64_t cols = partials.cols;
    const std::int64_t n_groups = partials.n_groups;
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    float* out = blockIdx.z == 0 ? sums.squares : sums.plain;
    if (col >= cols || out == nullptr) return;
    const std::int64_t chunk = blockIdx.y;
    const float* from = (blockIdx.z == 0 ? partials.squares : partials.plain) + chunk * n_groups * cols + col;
    float sum = 0;
#pragma unroll 8
    for (std::int64_t g = 0; g < n_groups; ++g) sum += from[g * cols];
    out[chunk * cols + col] = sum;
}

__global__ void add_chunks(Sums sums, std::int64_t n_chunks, std::int64_t cols, double* totals) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= cols) return;
    const float* from = (blockIdx.y == 0 ? sums.squares : sums.plain) + col;
    double& place = totals[blockIdx.y * cols + col];
    double total = place;
    std::int64_t bad = n_chunks;
#pragma unroll 8
    for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
        const float sum = from[chunk * cols];
        if (!isfinite(sum) && chunk < bad) bad = chunk;
        total += static_cast<double>(sum);
    }
    place = total;
    if (bad < n_chunks)
        atomicMin(reinterpret_cast<unsigned long long*>(totals + 2 * cols),
                  static_cast<unsigned long long>(bad));
}

}  // namespace

void finish_sums(const Partials& partials, std::int64_t n_chunks, const Sums& sums, cudaStream_t stream) {
    if (n_chunks == 0) return;
    if (sums.squares == nullptr && sums.plain == nullptr) return;
    const dim3 grid(static_cast<unsigned>((partials.cols + kThreads - 1) / kThreads),
                    static_cast<unsigned>(n_chunks), 2);
    add_groups<<<grid, kThreads, 0, stream>>>(partials, sums);
    check(cudaGetLastError(), "adding column sums");
}

void add_to_totals(const Sums& sums, std::int64_t n_chunks, std::int64_t cols, double* totals,
                   cudaStream_t stream) {
    if (n_chunks == 0 || cols == 0) return;
    const dim3 grid(static_cast<unsigned>((cols + kThreads - 1) / kThreads), 2);
    add_chunks<<<grid, kThreads, 0, stream>>>(sums, n_chunks, cols, totals);
    check(cudaGetLastError(), "adding sums to totals");
}

}  // namespace assay::backend::cuda
