// Dense products and the gated feed-forward input.
#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/tile_product.h"
#include "core/error.h"

namespace assay::backend::cpu {

void CpuBackend::linear(View x, const Matrix& w, const float* bias, bool accumulate, View out) {
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

void CpuBackend::gated_linear(View x, const Matrix& gate_up, const float* bias, const GateFunction& function,
                              Rows rows, const Produced& out) {
    const Activation activation = plain_gate(function);
    const auto& matrix = static_cast<const PackedMatrix&>(gate_up);
    const std::size_t n_pairs = matrix.panels().size() / 2;
    if (matrix.panels().size() % 2 != 0 || matrix.panels()[n_pairs].first_col != matrix.n_out() / 2)
        throw_error(ErrorKind::Internal, "gated_linear", "wants gate and up as two stacked sources");
    const TileProduct product(gemm_for(matrix), x, matrix, tile_rows_);
    const std::vector<RowTile> tiles = row_tiles(rows, tile_rows_);
    const auto n_tiles = static_cast<std::int64_t>(tiles.size());
    const std::int64_t ffn = matrix.n_out() / 2;
    TileSums sums(out.sums, tiles.size(), ffn);
    pool_.run(n_tiles * static_cast<std::int64_t>(n_pairs), [&](std::int64_t task, int thread) {
        const RowTile& tile = tiles[static_cast<std::size_t>(task % n_tiles)];
        const auto panel = static_cast<std::size_t>(task / n_tiles);
        const Panel& columns = matrix.panels()[panel];
        std::byte* memory = scratch(thread, 2 * product.result_bytes() + product.scratch_bytes());
        auto* gate = reinterpret_cast<float*>(memory);
        auto* up = reinterpret_cast<float*>(memory + product.result_bytes());
        std::byte* rest = memory + 2 * product.result_bytes();
        product.run(panel, tile.first_row, tile.n_rows, gate, rest);
        product.run(panel + n_pairs, tile.first_row, tile.n_rows, up, rest);
        const Sums tile_sums = sums.at(task % n_tiles, columns.first_col);
        for (std::int64_t r = 0; r < tile.n_rows; ++r) {
            float* g = gate + r * columns.cols;
            float* u = up + r * columns.cols;
            if (bias != nullptr) {
                kernels_.axpy(1.0f, bias + columns.first_col, columns.cols, g);
                kernels_.axpy(1.0f, bias + ffn + columns.first_col, columns.cols, u);
            }
            kernels_.gate_row(g, u, columns.cols, activation, g);
            finish_row(g, tile.first_row + r, columns.first_col, columns.cols, out, tile_sums);
        }
    });
    sums.combine(tiles, out.sums);
}

}  // namespace assay::backend::cpu
