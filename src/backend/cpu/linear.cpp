// Dense products and the gated feed-forward input.
#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/tile_product.h"
#include "backend/shapes.h"

namespace assay::backend::cpu {

namespace {

/// Of products, in a task over chunks of unequal length.
constexpr std::int64_t kBlockTiles = 8;

}  // namespace

void CpuBackend::linear(View x, const Matrix& w, const float* bias, bool accumulate, View out) {
    check_product(x, w, out);
    const auto& matrix = static_cast<const PackedMatrix&>(w);
    const TileProduct product(gemm_for(matrix), x, matrix, tile_rows_);
    const std::int64_t n_tiles = (x.rows + tile_rows_ - 1) / tile_rows_;
    const auto n_panels = static_cast<std::int64_t>(matrix.panels().size());
    // Tiles innermost: consecutive tasks share a panel of weights.
    pool_.run(n_tiles * n_panels, [&](std::int64_t task, int thread) {
        const auto panel = static_cast<std::size_t>(task / n_tiles);
        const std::int64_t first = task % n_tiles * tile_rows_;
        const std::int64_t n_rows = std::min(tile_rows_, x.rows - first);
        const Panel& columns = matrix.panels()[panel];
        std::byte* memory = scratch(thread, product.result_bytes() + product.scratch_bytes());
        auto* result = reinterpret_cast<float*>(memory);
        product.run(panel, first, n_rows, result, memory + product.result_bytes());
        for (std::int64_t r = 0; r < n_rows; ++r) {
            auto* to = reinterpret_cast<float*>(out.at(first + r, columns.first_col));
            float* from = result + r * columns.cols;
            if (bias != nullptr) kernels_.axpy(1.0f, bias + columns.first_col, columns.cols, from);
            if (accumulate)
                kernels_.axpy(1.0f, from, columns.cols, to);
            else
                std::memcpy(to, from, static_cast<std::size_t>(columns.cols) * sizeof(float));
        }
    });
}

/// Consecutive tiles that a task goes through, so that products are of whole tiles where chunks are shorter;
/// each has at most `most_rows`, or is one tile. A chunk's sums stay those of its own tiles.
std::vector<CpuBackend::TileRun> CpuBackend::tile_runs(std::span<const RowTile> tiles,
                                                       std::int64_t most_rows) {
    std::vector<TileRun> blocks;
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const std::int64_t end = tiles[t].first_row + tiles[t].n_rows;
        if (blocks.empty() || end - blocks.back().first_row > most_rows)
            blocks.push_back({t, tiles[t].first_row, end});
        blocks.back().end_row = end;
    }
    return blocks;
}

void CpuBackend::gated_linear(View x, const Matrix& gate_up, const float* bias, const GateFunction& function,
                              Rows rows, const Produced& out) {
    check_gated(x, gate_up, rows, out);
    const auto& matrix = static_cast<const PackedMatrix&>(gate_up);
    const TileProduct product(gemm_for(matrix), x, matrix, tile_rows_);
    const std::vector<RowTile> tiles = row_tiles(rows, tile_rows_);
    const std::vector<TileRun> blocks =
        tile_runs(tiles, rows.table == nullptr ? 1 : kBlockTiles * tile_rows_);
    const std::int64_t n_blocks = std::ssize(blocks);
    const std::span<const float> weights = rows.weights();
    const std::int64_t ffn = matrix.n_out() / 2;
    TileSums sums(out.sums, tiles.size(), ffn);
    // Gate and up as two sources have panels in pairs. Otherwise a task takes all panels of its rows.
    const std::span<const Panel> panels = matrix.panels();
    const bool paired = panels.size() % 2 == 0 && panels[panels.size() / 2].first_col == ffn;
    const std::size_t n_runs = paired ? panels.size() / 2 : 1;
    const std::int64_t most_cols = paired ? 0 : 2 * ffn;
    const auto gathered_bytes = static_cast<std::size_t>(tile_rows_ * most_cols) * sizeof(float);
    pool_.run(n_blocks * static_cast<std::int64_t>(n_runs), [&](std::int64_t task, int thread) {
        const TileRun& block = blocks[static_cast<std::size_t>(task % n_blocks)];
        const auto run = static_cast<std::size_t>(task / n_blocks);
        std::byte* memory =
            scratch(thread, 2 * product.result_bytes() + product.scratch_bytes() + gathered_bytes);
        std::byte* rest = memory + 2 * product.result_bytes();
        const std::int64_t first_col = paired ? panels[run].first_col : 0;
        const std::int64_t cols = paired ? panels[run].cols : ffn;
        const std::int64_t stride = paired ? cols : 2 * ffn;
        std::size_t tile = block.first;
        for (std::int64_t first = block.first_row; first < block.end_row; first += tile_rows_) {
            const std::int64_t n_rows = std::min(tile_rows_, block.end_row - first);
            auto* gate = reinterpret_cast<float*>(memory);
            auto* up = reinterpret_cast<float*>(memory + product.result_bytes());
            if (paired) {
                product.run(run, first, n_rows, gate, rest);
                product.run(run + n_runs, first, n_rows, up, rest);
            } else {
                auto* gathered = reinterpret_cast<float*>(rest + product.scratch_bytes());
                for (std::size_t p = 0; p < panels.size(); ++p) {
                    product.run(p, first, n_rows, gate, rest);
                    for (std::int64_t r = 0; r < n_rows; ++r)
                        std::memcpy(gathered + r * stride + panels[p].first_col, gate + r * panels[p].cols,
                                    static_cast<std::size_t>(panels[p].cols) * sizeof(float));
                }
                gate = gathered;
                up = gathered + ffn;
            }
            for (std::int64_t r = 0; r < n_rows; ++r) {
                const std::int64_t row = first + r;
                while (row >= tiles[tile].first_row + tiles[tile].n_rows) ++tile;
                float* g = gate + r * stride;
                float* u = up + r * stride;
                if (bias != nullptr) {
                    kernels_.axpy(1.0f, bias + first_col, cols, g);
                    kernels_.axpy(1.0f, bias + ffn + first_col, cols, u);
                }
                kernels_.gate_row(g, u, cols, function, g);
                finish_row(g, row, first_col, cols, out, sums.at(static_cast<std::int64_t>(tile), first_col),
                           weight_of(weights, row));
            }
        }
    });
    sums.combine(tiles, rows.n_chunks, out.sums);
}

}  // namespace assay::backend::cpu
