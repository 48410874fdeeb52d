// Memory of a wave and of the groups of chunks that go through it. Private to the engine.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "engine/observation.h"

namespace assay::engine {

/// Memory seen as rows, all of them side by side.
struct Rows2d {
    backend::BufferPtr memory;
    backend::View view;

    static Rows2d of(backend::BufferPtr memory, std::int64_t rows, std::int64_t cols, backend::DType type) {
        const backend::View view{memory->data(), type, rows, cols, cols};
        return {std::move(memory), view};
    }
    static Rows2d allocate(backend::Backend& backend, std::int64_t rows, std::int64_t cols,
                           backend::DType type) {
        if (rows == 0 || cols == 0) return {};
        return of(backend.allocate(static_cast<std::size_t>(rows * cols * backend::size_of(type))), rows,
                  cols, type);
    }
};

/// A run of whole chunks that goes through a stage together.
struct Group {
    std::int64_t first_row = 0;  ///< within the wave
    backend::Rows rows;
    ChunkRange chunks;  ///< of the run

    std::int64_t first_chunk() const noexcept { return first_row / rows.chunk_tokens; }  ///< within the wave

    backend::View of(const backend::View& wave_view) const {
        return wave_view.row_range(first_row, rows.count());
    }
};

/// Positions of a chunk whose next token is scored: its second half, but for the last, whose next token
/// belongs to another chunk. A block that predicts `ahead` tokens further scores the same tokens from rows as
/// much before.
struct Scored {
    std::int64_t first = 0;
    std::int64_t count = 0;

    static Scored of(std::int64_t n_ctx) { return {n_ctx / 2, n_ctx - n_ctx / 2 - 1}; }
    std::int64_t first_row(std::int64_t ahead) const noexcept { return first - ahead; }
};

}  // namespace assay::engine
