// Memory for the partial sums of one operation.
#pragma once

#include "backend/cuda/device.h"
#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

/// Memory for the partial sums that the caller wants.
struct PartialMemory {
    PartialMemory(const Device& device, const Sums& sums, std::int64_t n_chunks, std::int64_t n_groups,
                  std::int64_t cols)
        : squares(device, sums.squares != nullptr ? n_chunks * n_groups * cols : 0),
          plain(device, sums.plain != nullptr ? n_chunks * n_groups * cols : 0),
          partials{squares.get(), plain.get(), n_groups, cols} {}

    Temporary<float> squares;
    Temporary<float> plain;
    Partials partials;
};

inline std::int64_t groups(std::int64_t chunk_tokens, std::int64_t group) {
    return (chunk_tokens + group - 1) / group;
}

}  // namespace assay::backend::cuda
