// The products of the chosen experts, gathered by expert over all rows of the call.
#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/expert_shares.h"
#include "backend/cpu/routing.h"
#include "backend/cpu/tile_product.h"
#include "backend/shapes.h"

namespace assay::backend::cpu {

namespace {

/// Activations of the rows that are computed together take at most this, or what one tile takes.
constexpr std::int64_t kGroupBytes = 64 << 20;

struct Tile {
    std::int64_t share = 0;
    std::int64_t first = 0;
};

std::vector<Tile> tiles_of(std::span<const Share> shares) {
    std::vector<Tile> tiles;
    for (std::size_t s = 0; s < shares.size(); ++s)
        for (std::int64_t r = 0; r < static_cast<std::int64_t>(shares[s].choices.size()); r += kExpertTile)
            tiles.push_back({static_cast<std::int64_t>(s), shares[s].first + r});
    return tiles;
}

float* sums_at(float* sums, const Segment& segment, std::int64_t batch, std::int64_t cols) {
    return sums == nullptr ? nullptr : sums + (segment.chunk * batch + segment.expert) * cols;
}

}  // namespace

std::uint64_t CpuBackend::expert_bytes() const noexcept { return kGroupBytes; }

void CpuBackend::experts(View x, const Routing& routing, const ExpertBatch& batch, Rows rows, View out) {
    check_experts(x, batch, rows, out);
    const auto& chosen = static_cast<const CpuRouting&>(routing);
    const auto n_batch = static_cast<std::int64_t>(batch.gate_up.size());
    if (n_batch == 0) return;
    const std::int64_t inner_cols = batch.gate_up.front()->n_out();
    const std::int64_t ffn = batch.down.empty() ? 0 : batch.down.front()->n_in();
    const std::int64_t row_bytes = (x.cols + ffn) * size_of(operand_dtype()) + (inner_cols + out.cols) * 4;
    const auto clear = [&](float* sums, std::int64_t cols) {
        if (sums != nullptr) std::fill(sums, sums + rows.n_chunks * n_batch * cols, 0.0f);
    };
    clear(batch.input_sums.squares, x.cols);
    clear(batch.input_sums.plain, x.cols);
    clear(batch.down_sums.squares, ffn);
    clear(batch.down_sums.plain, ffn);

    const std::int64_t most_rows =
        std::max<std::int64_t>(1, kGroupBytes / row_bytes / kExpertTile) * kExpertTile;
    Shares all(chosen, batch.first, n_batch);
    while (true) {
        const std::vector<Share> shares = all.next(most_rows);
        if (shares.empty()) break;
        const std::int64_t n_rows = rows_of(shares);
        // Kept from call to call: pages fresh from the system would cost more time than filling them.
        std::byte* next = gathered(static_cast<std::size_t>(n_rows * row_bytes));
        const auto part = [&](std::int64_t bytes_of_row) {
            return std::span(std::exchange(next, next + n_rows * bytes_of_row),
                             static_cast<std::size_t>(n_rows * bytes_of_row));
        };
        const std::int64_t operand_bytes = size_of(operand_dtype());
        const std::span input = part(x.cols * operand_bytes), inner = part(ffn * operand_bytes);
        auto* const hidden = reinterpret_cast<float*>(part(ffn == 0 ? 0 : inner_cols * 4).data());
        auto* const result = reinterpret_cast<float*>(part(out.cols * 4).data());
        const View input_view{input.data(), operand_dtype(), n_rows, x.cols, x.cols};
        const View inner_view{inner.data(), operand_dtype(), n_rows, ffn, ffn};
        const std::vector<Segment> segments = segments_of(shares);
        const std::vector<Tile> tiles = tiles_of(shares);
        std::ranges::fill(input, std::byte{});  // padding rows meet products too
        std::ranges::fill(inner, std::byte{});

        // Rows of a segment are summed in kRowTile strands, as everywhere.
        const auto leave = [&](const Segment& segment, std::int64_t cols, const Sums& sums, View operand,
                               int thread, const auto& row_values) {
            auto* memory =
                reinterpret_cast<float*>(scratch(thread, static_cast<std::size_t>(3 * cols) * sizeof(float)));
            float* squares = sums_at(sums.squares, segment, n_batch, cols);
            float* plain = sums_at(sums.plain, segment, n_batch, cols);
            Produced to;
            to.operand = operand;
            const auto n = static_cast<std::int64_t>(segment.choices.size());
            for (std::int64_t begin = 0; begin < n; begin += kRowTile) {
                std::fill(memory + cols, memory + 3 * cols, 0.0f);
                for (std::int64_t i = begin; i < std::min(n, begin + kRowTile); ++i) {
                    const CpuRouting::Choice& choice = segment.choices[static_cast<std::size_t>(i)];
                    finish_row(row_values(segment.first + i, choice, memory), segment.first + i, 0, cols, to,
                               {squares == nullptr ? nullptr : memory + cols,
                                plain == nullptr ? nullptr : memory + 2 * cols},
                               choice.row_weight);
                }
                if (squares != nullptr) kernels_.axpy(1.0f, memory + cols, cols, squares);
                if (plain != nullptr) kernels_.axpy(1.0f, memory + 2 * cols, cols, plain);
            }
        };
        const auto multiply = [&](View from, std::span<const MatrixPtr> matrices, const float* bias,
                                  float* to, std::int64_t cols) {
            std::vector<std::unique_ptr<TileProduct>> products;
            for (const Share& share : shares) {
                const auto& w =
                    static_cast<const PackedMatrix&>(*matrices[static_cast<std::size_t>(share.expert)]);
                products.push_back(std::make_unique<TileProduct>(gemm_, from, w, kExpertTile));
            }
            const auto& panels = static_cast<const PackedMatrix&>(*matrices.front()).panels();
            const auto n_panels = static_cast<std::int64_t>(panels.size());
            pool_.run(static_cast<std::int64_t>(tiles.size()) * n_panels, [&](std::int64_t task, int thread) {
                const Tile& tile = tiles[static_cast<std::size_t>(task / n_panels)];
                const auto panel = static_cast<std::size_t>(task % n_panels);
                const TileProduct& product = *products[static_cast<std::size_t>(tile.share)];
                std::byte* memory = scratch(thread, product.result_bytes() + product.scratch_bytes());
                auto* values = reinterpret_cast<float*>(memory);
                product.run(panel, tile.first, kExpertTile, values, memory + product.result_bytes());
                const Panel& columns = panels[panel];
                const float* own = bias == nullptr
                                       ? nullptr
                                       : bias + shares[static_cast<std::size_t>(tile.share)].expert * cols +
                                             columns.first_col;
                for (std::int64_t r = 0; r < kExpertTile; ++r) {
                    float* row = to + (tile.first + r) * cols + columns.first_col;
                    std::memcpy(row, values + r * columns.cols,
                                static_cast<std::size_t>(columns.cols) * sizeof(float));
                    if (own != nullptr) kernels_.axpy(1.0f, own, columns.cols, row);
                }
            });
        };

        const auto n_segments = static_cast<std::int64_t>(segments.size());
        pool_.run(n_segments, [&](std::int64_t s, int thread) {
            leave(segments[static_cast<std::size_t>(s)], x.cols, batch.input_sums, input_view, thread,
                  [&](std::int64_t, const CpuRouting::Choice& choice, float* memory) -> const float* {
                      const float* from = x.row_f32(choice.row);
                      if (!batch.weigh_input) return from;
                      for (std::int64_t j = 0; j < x.cols; ++j) memory[j] = choice.weight * from[j];
                      return memory;
                  });
        });
        if (batch.down.empty()) {
            multiply(input_view, batch.gate_up, batch.gate_up_bias, result, out.cols);
            pool_.run(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t task, int) {
                float* tile = result + tiles[static_cast<std::size_t>(task)].first * out.cols;
                for (std::int64_t r = 0; r < kExpertTile; ++r)
                    kernels_.gate_row(tile + r * out.cols, nullptr, out.cols, batch.function,
                                      tile + r * out.cols);
            });
        } else {
            multiply(input_view, batch.gate_up, batch.gate_up_bias, hidden, inner_cols);
            pool_.run(n_segments, [&](std::int64_t s, int thread) {
                leave(segments[static_cast<std::size_t>(s)], ffn, batch.down_sums, inner_view, thread,
                      [&](std::int64_t row, const CpuRouting::Choice&, float* memory) {
                          const float* gate = hidden + row * inner_cols;
                          kernels_.gate_row(gate, batch.gated ? gate + ffn : nullptr, ffn, batch.function,
                                            memory);
                          return memory;
                      });
            });
            multiply(inner_view, batch.down, batch.down_bias, result, out.cols);
        }
        // Each task owns a run of columns and adds experts in order, so that a row's sum has one order.
        pool_.run((out.cols + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
            const std::int64_t col = task * kRowTile;
            const std::int64_t cols = std::min(kRowTile, out.cols - col);
            for (const Share& share : shares)
                for (std::size_t i = 0; i < share.choices.size(); ++i)
                    kernels_.axpy(batch.weigh_input ? 1.0f : share.choices[i].weight,
                                  result + (share.first + static_cast<std::int64_t>(i)) * out.cols + col,
                                  cols, out.row_f32(share.choices[i].row) + col);
        });
    }
}

}  // namespace assay::backend::cpu
