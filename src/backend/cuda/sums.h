// Column sums over the rows of a chunk, in two steps: kernels leave one partial sum for each group of rows,
// then the groups are added in order. No atomics, so the same rows give the same bits.
#pragma once

#include <cstdint>
#include <cuda_runtime_api.h>

#include "backend/backend.h"

namespace assay::backend::cuda {

/// [n_chunks, n_groups, cols] each; null: not wanted.
struct Partials {
    float* squares = nullptr;
    float* plain = nullptr;
    std::int64_t n_groups = 0;
    std::int64_t cols = 0;

    bool wanted() const noexcept { return squares != nullptr || plain != nullptr; }
};

/// sums [n_chunks, cols] = partials over groups.
void finish_sums(const Partials& partials, std::int64_t n_chunks, const Sums& sums, cudaStream_t stream);

/// totals [2, cols]: of squares and of values, to which the sums [n_chunks, cols] are added one chunk after
/// another. Behind them a 64-bit number, which becomes that of the first chunk with a sum that is not finite
/// if that is less.
void add_to_totals(const Sums& sums, std::int64_t n_chunks, std::int64_t cols, double* totals,
                   cudaStream_t stream);

}  // namespace assay::backend::cuda
