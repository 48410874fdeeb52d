// Where a block finds its tile of rows, or its chunk.
#pragma once

#include "backend/cuda/row_tiles.h"

namespace assay::backend::cuda {

__device__ inline RowTile tile_at(const RowTiles& t, unsigned index) {
    if (t.tiles != nullptr) {
        RowTile tile = t.tiles[t.tile_base + index];
        tile.chunk_begin -= t.row_base;
        tile.chunk_end -= t.row_base;
        tile.first -= t.row_base;
        tile.last -= t.row_base;
        return tile;
    }
    const int chunk = static_cast<int>(index / static_cast<unsigned>(t.per_chunk));
    const int begin = chunk * t.chunk_tokens;
    const int first = begin + static_cast<int>(index % static_cast<unsigned>(t.per_chunk)) * t.length;
    return {begin, begin + t.chunk_tokens, first, min(first + t.length, begin + t.chunk_tokens)};
}

__device__ inline int begin_of(const ChunkSpans& c, int chunk) {
    return c.starts != nullptr ? c.starts[chunk] - c.row_base : chunk * c.chunk_tokens;
}

/// Of a row within its chunk.
__device__ inline std::int64_t position_at(const RowPositions& p, std::int64_t row) {
    return p.positions != nullptr ? p.positions[row] : row % p.chunk_tokens;
}

/// Whether row + n - 1 is a row of the same chunk.
__device__ inline bool has_rows(const RowPositions& p, std::int64_t row, std::int64_t n) {
    return row + n <= p.n_rows && position_at(p, row + n - 1) == position_at(p, row) + n - 1;
}

/// What a row counts in sums.
__device__ inline float weight_at(const RowTiles& t, std::int64_t row) {
    return t.weights != nullptr ? t.weights[row] : 1.0f;
}

}  // namespace assay::backend::cuda
