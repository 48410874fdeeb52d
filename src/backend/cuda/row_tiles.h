// The rows of a call as kernels find them: in tiles that begin where chunks do, whatever the chunks' lengths.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace assay::backend::cuda {

/// A tile and its chunk, in rows of the call.
struct RowTile {
    int chunk_begin;
    int chunk_end;
    int first;
    int last;  ///< behind its rows
};

/// Tiles of `length` rows, the last of each chunk shorter; an argument of kernels.
struct RowTiles {
    int length = 0;
    std::int64_t n = 0;  ///< of all chunks
    // Of chunks of one length.
    int chunk_tokens = 0;
    int per_chunk = 0;
    // Of others: device memory, null where chunks have one length. Rows are counted from that of the table.
    const RowTile* tiles = nullptr;
    const std::int32_t* chunk_tiles = nullptr;  ///< [n_chunks + 1], counted from tile_base on
    std::int32_t tile_base = 0;
    std::int32_t row_base = 0;
    const float* weights = nullptr;  ///< [rows] of the call; null: 1

    /// Tiles of a grid of two dimensions: (tiles, 1), or (tiles of a chunk, chunks).
    unsigned grid_tiles() const noexcept { return static_cast<unsigned>(tiles != nullptr ? n : per_chunk); }
    unsigned grid_chunks() const noexcept {
        return tiles != nullptr ? 1u : static_cast<unsigned>(per_chunk == 0 ? 0 : n / per_chunk);
    }
};

/// Where the chunks of a call begin, for kernels that go through a chunk from its first row on; an argument
/// of kernels.
struct ChunkSpans {
    const std::int32_t* starts = nullptr;  ///< [n_chunks + 1] of a table; null: chunks have one length
    std::int32_t row_base = 0;             ///< the first of them
    int chunk_tokens = 0;                  ///< of chunks of one length
};

/// Where rows lie within their chunks, for kernels that take each row by itself; an argument of kernels.
struct RowPositions {
    const std::int32_t* positions = nullptr;  ///< [rows] of a table; null: chunks have one length
    std::int64_t chunk_tokens = 0;            ///< of chunks of one length
    std::int64_t n_rows = 0;
};

/// A table on the device, with the tiles of all lengths that kernels take.
class DeviceRowTable final : public RowTable {
  public:
    DeviceRowTable(const DevicePtr& device, std::span<const std::int64_t> starts,
                   std::span<const float> weights);

    /// Device memory of some of its chunks.
    RowTiles tiles(const Rows& rows, int length) const;
    const std::int32_t* row_starts(const Rows& rows) const noexcept { return row_starts_ + rows.table_chunk; }
    const std::int32_t* positions(const Rows& rows) const { return positions_ + start(rows.table_chunk); }
    const float* device_weights(const Rows& rows) const {
        return weights_ == nullptr ? nullptr : weights_ + start(rows.table_chunk);
    }

  private:
    static constexpr std::array<int, 4> kLengths{16, 32, 64, 128};
    struct Tiling {
        std::vector<std::int32_t> chunk_tiles;  ///< on the host, too
        const std::int32_t* device_chunk_tiles = nullptr;
        const RowTile* tiles = nullptr;
    };
    template <typename Parts>
    DeviceRowTable(const DevicePtr& device, std::span<const std::int64_t> starts,
                   std::span<const float> weights, Parts content);

    DeviceBuffer memory_;
    std::array<Tiling, kLengths.size()> tilings_;
    const std::int32_t* row_starts_ = nullptr;  ///< [n_chunks + 1]
    const std::int32_t* positions_ = nullptr;   ///< [rows], each within its chunk
    const float* weights_ = nullptr;            ///< [rows], or null: 1
};

/// The call's rows in tiles of this length.
RowTiles tiles_of(const Rows& rows, int length);

ChunkSpans spans_of(const Rows& rows);
RowPositions positions_of(const Rows& rows);

/// The table of a call's rows, or null.
inline const DeviceRowTable* table_of(const Rows& rows) noexcept {
    return static_cast<const DeviceRowTable*>(rows.table);
}

}  // namespace assay::backend::cuda
