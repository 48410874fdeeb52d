#include "backend/cuda/device.h"
#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;

/// blockIdx.z: squares, plain sums; one of them may be unwanted.
__global__ void add_tiles(Partials partials, RowTiles tiles, Sums sums) {
    const std::int64_t cols = partials.cols;
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    float* out = blockIdx.z == 0 ? sums.squares : sums.plain;
    if (col >= cols || out == nullptr) return;
    const std::int64_t chunk = blockIdx.y;
    std::int64_t first = chunk * tiles.per_chunk;
    std::int64_t n = tiles.per_chunk;
    if (tiles.tiles != nullptr) {
        first = tiles.chunk_tiles[chunk] - tiles.tile_base;
        n = tiles.chunk_tiles[chunk + 1] - tiles.tile_base - first;
    }
    const float* from = (blockIdx.z == 0 ? partials.squares : partials.plain) + first * cols + col;
    float sum = 0;
#pragma unroll 8
    for (std::int64_t t = 0; t < n; ++t) sum += from[t * cols];
    out[chunk * cols + col] = sum;
}

__global__ void add_chunks(Sums sums, std::int64_t n_chunks, std::int64_t cols, ChunkTotals totals) {
    const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (col >= cols) return;
    const float* from = (blockIdx.y == 0 ? sums.squares : sums.plain) + col;
    double high = 0;
    float low = 0;
    std::int64_t bad = n_chunks;
#pragma unroll 8
    for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
        const float sum = from[chunk * cols];
        if (!isfinite(sum) && chunk < bad) bad = chunk;
        add_exactly(high, low, static_cast<double>(sum));
    }
    totals.high[blockIdx.y * cols + col] = high;
    totals.low[blockIdx.y * cols + col] = low;
    if (bad < n_chunks) atomicMin(totals.bad, static_cast<unsigned long long>(bad));
}

}  // namespace

void finish_sums(const Partials& partials, const RowTiles& tiles, std::int64_t n_chunks, const Sums& sums,
                 cudaStream_t stream) {
    if (n_chunks == 0) return;
    if (sums.squares == nullptr && sums.plain == nullptr) return;
    const dim3 grid(static_cast<unsigned>((partials.cols + kThreads - 1) / kThreads),
                    static_cast<unsigned>(n_chunks), 2);
    add_tiles<<<grid, kThreads, 0, stream>>>(partials, tiles, sums);
    check(cudaGetLastError(), "adding column sums");
}

void add_up(const Sums& sums, std::int64_t n_chunks, std::int64_t cols, const ChunkTotals& totals,
            cudaStream_t stream) {
    if (cols == 0) return;
    const dim3 grid(static_cast<unsigned>((cols + kThreads - 1) / kThreads), 2);
    add_chunks<<<grid, kThreads, 0, stream>>>(sums, n_chunks, cols, totals);
    check(cudaGetLastError(), "adding the sums of chunks");
}

}  // namespace assay::backend::cuda
