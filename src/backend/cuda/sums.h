// Column sums over the rows of a chunk, in two steps: kernels leave one partial sum for each tile of rows,
// then the tiles are added in order. No atomics, so the same rows give the same bits.
#pragma once

#include <cstdint>
#include <cuda_runtime_api.h>

#include "backend/backend.h"
#include "backend/cuda/row_tiles.h"

namespace assay::backend::cuda {

/// [tiles of rows, cols] each; null: not wanted.
struct Partials {
    float* squares = nullptr;
    float* plain = nullptr;
    std::int64_t cols = 0;

    bool wanted() const noexcept { return squares != nullptr || plain != nullptr; }
};

/// sums [n_chunks, cols] = partials over the tiles of each chunk.
void finish_sums(const Partials& partials, const RowTiles& tiles, std::int64_t n_chunks, const Sums& sums,
                 cudaStream_t stream);

/// Exact sums (core/exact_sum.h) of some chunks, of squares and of values.
struct ChunkTotals {
    double* high = nullptr;             ///< [2, cols]
    float* low = nullptr;               ///< [2, cols]
    unsigned long long* bad = nullptr;  ///< becomes the first chunk with a sum that is not finite, if less
};

/// totals = sums [n_chunks, cols] over chunks.
void add_up(const Sums& sums, std::int64_t n_chunks, std::int64_t cols, const ChunkTotals& totals,
            cudaStream_t stream);

}  // namespace assay::backend::cuda
