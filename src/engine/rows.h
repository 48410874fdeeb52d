// Memory of a wave and of the groups of chunks that go through it. Private to the engine.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "engine/wave.h"
#include "plan/plan.h"

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
    std::int64_t first_chunk = 0;  ///< within the wave
    std::int64_t first_row = 0;    ///< within the part's rows of the wave
    backend::Rows rows;
    ChunkRange chunks;  ///< of the run

    backend::View of(const backend::View& wave_view) const {
        return wave_view.row_range(first_row, rows.count());
    }
};

/// The rows that a part of the model has of a wave: of each chunk its tokens from `ahead` on, by which a
/// block that predicts ahead is behind the trunk. Chunks that are not longer have none.
struct PartRows {
    PartRows(const plan::PassPlan& plan, backend::Backend& backend, const Wave& wave, std::int64_t ahead);

    /// For the rows of chunks of the wave, those entries of something that has one for each of its tokens
    /// from chunk `from` on.
    std::vector<std::int32_t> of(std::span<const std::int32_t> entries, std::int64_t first_chunk,
                                 std::int64_t n_chunks, std::int64_t from = 0) const;
    ScoredRows scored(std::int64_t chunk) const {
        return ScoredRows::of(wave->scored, wave->tokens_of(chunk), ahead);
    }

    /// The chunk's share of something that all scored rows have.
    template <typename T>
    std::span<const T> scored_of(std::int64_t chunk, std::span<const T> all_scored) const {
        const auto place = static_cast<std::size_t>(scored_starts[static_cast<std::size_t>(chunk)]);
        return all_scored.subspan(place, static_cast<std::size_t>(scored(chunk).count));
    }

    const Wave* wave;
    std::int64_t ahead;
    backend::RowTablePtr table;  ///< of chunks of one length, whose rows count 1: null
    backend::Rows all;
    std::vector<Group> groups;
    std::vector<std::int64_t> scored_starts;  ///< [n_chunks + 1] of the scored rows, side by side
};

}  // namespace assay::engine
