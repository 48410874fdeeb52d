#include "backend/cuda/row_tiles.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace assay::backend::cuda {

namespace {

/// Arrays one after another in one allocation, each aligned for whole tiles.
class Packed {
  public:
    /// Where the array begins.
    template <typename T> std::size_t add(std::span<const T> values) {
        const std::size_t at = bytes_.size();
        bytes_.resize((at + values.size_bytes() + sizeof(RowTile) - 1) / sizeof(RowTile) * sizeof(RowTile));
        std::memcpy(bytes_.data() + at, values.data(), values.size_bytes());
        return at;
    }
    std::span<const std::byte> bytes() const noexcept { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
};

/// Everything that a table has on the device.
struct Content {
    Packed packed;
    std::size_t row_starts = 0, positions = 0, weights = 0;
    std::vector<std::size_t> chunk_tiles_at, tiles_at;
    std::vector<std::vector<std::int32_t>> chunk_tiles;

    Content(std::span<const std::int64_t> starts, std::span<const float> row_weights,
            std::span<const int> lengths) {
        std::vector<std::int32_t> begins(starts.begin(), starts.end());
        std::vector<std::int32_t> of_rows;
        for (std::size_t chunk = 0; chunk + 1 < begins.size(); ++chunk)
            for (std::int32_t row = begins[chunk]; row < begins[chunk + 1]; ++row)
                of_rows.push_back(row - begins[chunk]);
        row_starts = packed.add(std::span<const std::int32_t>(begins));
        positions = packed.add(std::span<const std::int32_t>(of_rows));
        weights = packed.add(row_weights);
        for (const int length : lengths) {
            std::vector<RowTile> tiles;
            std::vector<std::int32_t>& counts = chunk_tiles.emplace_back(1, 0);
            for (std::size_t chunk = 0; chunk + 1 < begins.size(); ++chunk) {
                const std::int32_t begin = begins[chunk], end = begins[chunk + 1];
                for (std::int32_t first = begin; first < end; first += length)
                    tiles.push_back({begin, end, first, std::min(first + length, end)});
                counts.push_back(static_cast<std::int32_t>(tiles.size()));
            }
            tiles_at.push_back(packed.add(std::span<const RowTile>(tiles)));
            chunk_tiles_at.push_back(packed.add(std::span<const std::int32_t>(counts)));
        }
    }
};

}  // namespace

DeviceRowTable::DeviceRowTable(const DevicePtr& device, std::span<const std::int64_t> starts,
                               std::span<const float> weights)
    : DeviceRowTable(device, starts, weights, Content(starts, weights, kLengths)) {}

template <typename Parts>
DeviceRowTable::DeviceRowTable(const DevicePtr& device, std::span<const std::int64_t> starts,
                               std::span<const float> weights, Parts content)
    : RowTable(starts, weights), memory_(device, content.packed.bytes().size(), device->compute()) {
    const std::span<const std::byte> bytes = content.packed.bytes();
    check(cudaMemcpyAsync(memory_.data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice,
                          device->compute()),
          "copying where chunks begin");
    const auto integers = [&](std::size_t at) {
        return reinterpret_cast<const std::int32_t*>(memory_.data() + at);
    };
    row_starts_ = integers(content.row_starts);
    positions_ = integers(content.positions);
    if (!weights.empty()) weights_ = reinterpret_cast<const float*>(memory_.data() + content.weights);
    for (std::size_t i = 0; i < kLengths.size(); ++i)
        tilings_[i] = {std::move(content.chunk_tiles[i]), integers(content.chunk_tiles_at[i]),
                       reinterpret_cast<const RowTile*>(memory_.data() + content.tiles_at[i])};
}

RowTiles DeviceRowTable::tiles(const Rows& rows, int length) const {
    const auto which = std::ranges::find(kLengths, length) - kLengths.begin();
    if (which == std::ssize(kLengths))
        throw_error(ErrorKind::Internal, "cuda", "no kernel takes {} rows together", length);
    const Tiling& tiling = tilings_[static_cast<std::size_t>(which)];
    const auto first = static_cast<std::size_t>(rows.table_chunk);
    RowTiles found;
    found.length = length;
    found.tile_base = tiling.chunk_tiles[first];
    found.n = tiling.chunk_tiles[first + static_cast<std::size_t>(rows.n_chunks)] - found.tile_base;
    found.tiles = tiling.tiles;
    found.chunk_tiles = tiling.device_chunk_tiles + first;
    found.row_base = static_cast<std::int32_t>(start(rows.table_chunk));
    found.weights = device_weights(rows);
    return found;
}

RowTiles tiles_of(const Rows& rows, int length) {
    if (rows.table != nullptr) return table_of(rows)->tiles(rows, length);
    RowTiles tiles;
    tiles.length = length;
    tiles.chunk_tokens = static_cast<int>(rows.chunk_tokens);
    tiles.per_chunk = static_cast<int>((rows.chunk_tokens + length - 1) / length);
    tiles.n = rows.n_chunks * tiles.per_chunk;
    return tiles;
}

ChunkSpans spans_of(const Rows& rows) {
    const DeviceRowTable* table = table_of(rows);
    if (table == nullptr) return {nullptr, 0, static_cast<int>(rows.chunk_tokens)};
    return {table->row_starts(rows), static_cast<std::int32_t>(table->start(rows.table_chunk)), 0};
}

RowPositions positions_of(const Rows& rows) {
    const DeviceRowTable* table = table_of(rows);
    return {table == nullptr ? nullptr : table->positions(rows), rows.chunk_tokens, rows.count()};
}

}  // namespace assay::backend::cuda
