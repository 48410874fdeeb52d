#include "backend/cuda/device.h"
#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

__global__ void add_groups(const float* partials, std::int64_t n_groups, std::int64_t cols, float* out) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= cols) return;
    const std::int64_t chunk = blockIdx.y;
    const float* from = partials + chunk * n_groups * cols + col;
    float sum = 0;
#pragma unroll 8
    for (std::int64_t g = 0; g < n_groups; ++g) sum += from[g * cols];
    out[chunk * cols + col] = sum;
}

}  // namespace

void finish_sums(const Partials& partials, std::int64_t n_chunks, const Sums& sums, cudaStream_t stream) {
    if (n_chunks == 0) return;
    const dim3 grid(static_cast<unsigned>((partials.cols + kThreads - 1) / kThreads),
                    static_cast<unsigned>(n_chunks));
    if (sums.squares != nullptr)
        add_groups<<<grid, kThreads, 0, stream>>>(partials.squares, partials.n_groups, partials.cols,
                                                  sums.squares);
    if (sums.plain != nullptr)
        add_groups<<<grid, kThreads, 0, stream>>>(partials.plain, partials.n_groups, partials.cols,
                                                  sums.plain);
    check(cudaGetLastError(), "adding column sums");
}

}  // namespace assay::backend::cuda
