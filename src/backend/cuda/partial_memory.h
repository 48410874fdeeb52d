// Memory for the partial sums of one operation.
#pragma once

#include "backend/cuda/device.h"
#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

/// Memory for the partial sums that the caller wants.
struct PartialMemory {
    PartialMemory(const Device& device, const Sums& sums, const RowTiles& tiles, std::int64_t cols)
        : squares(device, sums.squares != nullptr ? tiles.n * cols : 0),
          plain(device, sums.plain != nullptr ? tiles.n * cols : 0),
          partials{squares.get(), plain.get(), cols} {}

    Temporary<float> squares;
    Temporary<float> plain;
    Partials partials;
};

}  // namespace assay::backend::cuda
