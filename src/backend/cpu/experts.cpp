// Routing, and the products of the chosen experts, gathered by expert over all rows of the call.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/tile_product.h"
#include "core/error.h"

namespace assay::backend::cpu {

namespace {

/// Rows that chose one expert come in few; one small tile for all, since a row's bits may depend on it.
constexpr std::int64_t kExpertTile = 64;
/// Activations of the experts that are computed together stay below about this.
constexpr std::int64_t kGroupBytes = 64 << 20;
/// The least divisor of expert weights, as llama.cpp (6.1e-5, the smallest normal half).
constexpr float kLeastWeightSum = 6.103515625e-5f;

class CpuRouting final : public Routing {
  public:
    struct Choice {
        std::int64_t row;
        float weight;
    };
    std::int64_t count(std::int64_t chunk, std::int64_t expert) const override {
        return counts[static_cast<std::size_t>(chunk * n_experts + expert)];
    }
    std::int64_t n_experts = 0;
    std::vector<std::vector<Choice>> by_expert;  ///< rows ascending
    std::vector<std::int64_t> counts;            ///< [chunks, experts]
};

/// The chosen experts of a row and their weights, best first; ties go to the lower number.
struct Chosen {
    std::vector<std::int64_t> experts;
    std::vector<float> weights;
};

Chosen choose(std::span<const float> logits, const RouteArgs& args) {
    const std::size_t n = logits.size();
    std::vector<float> scores(logits.begin(), logits.end());
    if (args.gating == Gating::Softmax) {
        const float largest = *std::ranges::max_element(scores);
        float total = 0;
        for (float& s : scores) total += s = std::exp(s - largest);
        for (float& s : scores) s /= total;
    } else if (args.gating == Gating::Sigmoid) {
        for (float& s : scores) s = 1.0f / (1.0f + std::exp(-s));
    }
    Chosen chosen;
    chosen.experts.resize(n);
    std::iota(chosen.experts.begin(), chosen.experts.end(), 0);
    const auto k = static_cast<std::ptrdiff_t>(args.n_used);
    const auto better = [&](std::int64_t a, std::int64_t b) {
        const float x = scores[static_cast<std::size_t>(a)];
        const float y = scores[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
    };
    std::partial_sort(chosen.experts.begin(), chosen.experts.begin() + k, chosen.experts.end(), better);
    chosen.experts.resize(static_cast<std::size_t>(k));
    for (const std::int64_t e : chosen.experts) chosen.weights.push_back(scores[static_cast<std::size_t>(e)]);
    if (args.gating == Gating::SoftmaxSelected) {
        const float largest = chosen.weights.front();
        for (float& w : chosen.weights) w = std::exp(w - largest);
    }
    if (args.normalise || args.gating == Gating::SoftmaxSelected) {
        const float total = std::accumulate(chosen.weights.begin(), chosen.weights.end(), 0.0f);
        for (float& w : chosen.weights) w /= std::max(total, kLeastWeightSum);
    }
    for (float& w : chosen.weights) w *= args.weight_scale;
    return chosen;
}

/// The rows of one expert within a group, and where they are in the group's buffers.
struct Share {
    std::int64_t expert = 0;  ///< within the batch
    std::int64_t first = 0;   ///< row in the buffers; a multiple of the tile
    std::span<const CpuRouting::Choice> choices;
};

/// A run of one chunk's rows within a share: what is summed together.
struct Segment {
    std::int64_t expert = 0;
    std::int64_t chunk = 0;
    std::int64_t first = 0;  ///< row in the buffers
    std::span<const CpuRouting::Choice> choices;
};

std::vector<Segment> segments_of(std::span<const Share> shares, std::int64_t chunk_tokens) {
    std::vector<Segment> segments;
    for (const Share& share : shares)
        for (std::size_t i = 0; i < share.choices.size();) {
            const std::int64_t chunk = share.choices[i].row / chunk_tokens;
            std::size_t end = i;
            while (end < share.choices.size() && share.choices[end].row / chunk_tokens == chunk) ++end;
            segments.push_back({share.expert, chunk, share.first + static_cast<std::int64_t>(i),
                                share.choices.subspan(i, end - i)});
            i = end;
        }
    return segments;
}

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

RoutingPtr CpuBackend::route(View logits, const RouteArgs& args, Rows rows) {
    if (args.gating == Gating::SqrtSoftplus || args.selection_bias != nullptr || args.select_logits ||
        args.n_groups != 1 || !args.chosen.empty())
        throw_error(ErrorKind::Unsupported, "cpu", "routing with a bias, groups, chosen experts or softplus");
    auto routing = std::make_unique<CpuRouting>();
    routing->n_experts = logits.cols;
    routing->by_expert.resize(static_cast<std::size_t>(logits.cols));
    routing->counts.resize(static_cast<std::size_t>(rows.n_chunks * logits.cols));
    std::vector<Chosen> chosen(static_cast<std::size_t>(logits.rows));
    pool_.run((logits.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(logits.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row)
            chosen[static_cast<std::size_t>(row)] =
                choose({logits.row_f32(row), static_cast<std::size_t>(logits.cols)}, args);
    });
    for (std::int64_t row = 0; row < logits.rows; ++row) {
        const Chosen& c = chosen[static_cast<std::size_t>(row)];
        for (std::size_t slot = 0; slot < c.experts.size(); ++slot) {
            routing->by_expert[static_cast<std::size_t>(c.experts[slot])].push_back({row, c.weights[slot]});
            ++routing
                  ->counts[static_cast<std::size_t>(row / rows.chunk_tokens * logits.cols + c.experts[slot])];
        }
    }
    return routing;
}

void CpuBackend::experts(View x, const Routing& routing, const ExpertBatch& batch, Rows rows, View out) {
    if (batch.down.empty() || batch.gate_up_bias != nullptr || batch.down_bias != nullptr || !batch.gated ||
        batch.weigh_input)
        throw_error(ErrorKind::Unsupported, "cpu",
                    "experts with biases, without gate or down, weighed inputs");
    const Activation activation = plain_gate(batch.function);
    const auto& chosen = static_cast<const CpuRouting&>(routing);
    const auto n_batch = static_cast<std::int64_t>(batch.gate_up.size());
    const std::int64_t ffn = batch.down.front()->n_in();
    const std::int64_t row_bytes = (x.cols + ffn) * size_of(operand_dtype()) + (2 * ffn + x.cols) * 4;
    const auto clear = [&](float* sums, std::int64_t cols) {
        if (sums != nullptr) std::fill(sums, sums + rows.n_chunks * n_batch * cols, 0.0f);
    };
    clear(batch.input_sums.squares, x.cols);
    clear(batch.input_sums.plain, x.cols);
    clear(batch.down_sums.squares, ffn);
    clear(batch.down_sums.plain, ffn);

    for (std::int64_t next = 0; next < n_batch;) {
        std::vector<Share> shares;
        std::int64_t n_rows = 0;
        while (next < n_batch && (shares.empty() || n_rows * row_bytes < kGroupBytes)) {
            const auto& choices = chosen.by_expert[static_cast<std::size_t>(batch.first + next)];
            if (!choices.empty()) shares.push_back({next, n_rows, choices});
            n_rows +=
                (static_cast<std::int64_t>(choices.size()) + kExpertTile - 1) / kExpertTile * kExpertTile;
            ++next;
        }
        if (shares.empty()) continue;
        const auto floats = [&](std::int64_t cols) { return static_cast<std::size_t>(n_rows * cols) * 4; };
        const auto operands = [&](std::int64_t cols) {
            return static_cast<std::size_t>(n_rows * cols * size_of(operand_dtype()));
        };
        const AlignedBuffer input(operands(x.cols)), hidden(floats(2 * ffn)), inner(operands(ffn)),
            result(floats(x.cols));
        const View input_view{input.data(), operand_dtype(), n_rows, x.cols, x.cols};
        const View inner_view{inner.data(), operand_dtype(), n_rows, ffn, ffn};
        const std::vector<Segment> segments = segments_of(shares, rows.chunk_tokens);
        const std::vector<Tile> tiles = tiles_of(shares);
        std::memset(input.data(), 0, operands(x.cols));  // padding rows meet products too
        std::memset(inner.data(), 0, operands(ffn));

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
                for (std::int64_t i = begin; i < std::min(n, begin + kRowTile); ++i)
                    finish_row(
                        row_values(segment.first + i, segment.choices[static_cast<std::size_t>(i)], memory),
                        segment.first + i, 0, cols, to,
                        {squares == nullptr ? nullptr : memory + cols,
                         plain == nullptr ? nullptr : memory + 2 * cols});
                if (squares != nullptr) kernels_.axpy(1.0f, memory + cols, cols, squares);
                if (plain != nullptr) kernels_.axpy(1.0f, memory + 2 * cols, cols, plain);
            }
        };
        const auto multiply = [&](View from, std::span<const MatrixPtr> matrices, float* to,
                                  std::int64_t cols) {
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
                for (std::int64_t r = 0; r < kExpertTile; ++r)
                    std::memcpy(to + (tile.first + r) * cols + columns.first_col, values + r * columns.cols,
                                static_cast<std::size_t>(columns.cols) * sizeof(float));
            });
        };

        const auto n_segments = static_cast<std::int64_t>(segments.size());
        pool_.run(n_segments, [&](std::int64_t s, int thread) {
            leave(segments[static_cast<std::size_t>(s)], x.cols, batch.input_sums, input_view, thread,
                  [&](std::int64_t, const CpuRouting::Choice& choice, float*) {
                      return x.row_f32(choice.row);
                  });
        });
        multiply(input_view, batch.gate_up, hidden.f32(), 2 * ffn);
        pool_.run(n_segments, [&](std::int64_t s, int thread) {
            leave(segments[static_cast<std::size_t>(s)], ffn, batch.down_sums, inner_view, thread,
                  [&](std::int64_t row, const CpuRouting::Choice&, float* memory) {
                      const float* gate = hidden.f32() + row * 2 * ffn;
                      kernels_.gate_row(gate, gate + ffn, ffn, activation, memory);
                      return memory;
                  });
        });
        multiply(inner_view, batch.down, result.f32(), x.cols);
        // Each task owns a run of columns and adds experts in order, so that a row's sum has one order.
        pool_.run((x.cols + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
            const std::int64_t col = task * kRowTile;
            const std::int64_t cols = std::min(kRowTile, x.cols - col);
            for (const Share& share : shares)
                for (std::size_t i = 0; i < share.choices.size(); ++i)
                    kernels_.axpy(share.choices[i].weight,
                                  result.f32() + (share.first + static_cast<std::int64_t>(i)) * x.cols + col,
                                  cols, out.row_f32(share.choices[i].row) + col);
        });
    }
}

}  // namespace assay::backend::cpu
