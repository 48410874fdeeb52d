// Divergences between output distributions over panels of the vocabulary, without ever holding a row of
// logits.
#include <algorithm>
#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/tile_product.h"

namespace assay::backend::cpu {

namespace {

/// What one panel says about one side of a row.
struct PanelSums {
    float largest = 0;
    double sum = 0;       ///< of exponentials relative to largest
    double weighted = 0;  ///< of exponentials times a - b
};

/// The panels so far, relative to the largest logit of all (Milakov & Gimelshein 2018, online softmax).
struct RowSums {
    float largest = -INFINITY;
    double sum = 0;
    double weighted = 0;
    float target_logit = 0;

    void add(const PanelSums& panel) {
        if (panel.largest > largest) {
            const double shrink = std::exp(static_cast<double>(largest) - static_cast<double>(panel.largest));
            sum *= shrink;
            weighted *= shrink;
            largest = panel.largest;
        }
        const double scale = std::exp(static_cast<double>(panel.largest) - static_cast<double>(largest));
        sum += panel.sum * scale;
        weighted += panel.weighted * scale;
    }
    double log_sum() const { return std::log(sum) + static_cast<double>(largest); }
};

struct RowPair {
    RowSums a;
    RowSums b;
};

class CpuDivergenceState final : public DivergenceState {
  public:
    explicit CpuDivergenceState(std::span<const std::int32_t> t)
        : targets(t.begin(), t.end()), rows(t.size()) {}
    std::vector<std::int32_t> targets;
    std::vector<RowPair> rows;
};

}  // namespace

DivergenceStatePtr CpuBackend::begin_divergence(std::span<const std::int32_t> targets) {
    return std::make_unique<CpuDivergenceState>(targets);
}

void CpuBackend::add_divergences(View x, const Matrix& panel, std::span<const Compared> variants,
                                 const float* bias, std::int64_t first, float scale, float soft_cap) {
    const auto& matrix = static_cast<const PackedMatrix&>(panel);
    const TileProduct product(gemm_for(matrix), x, matrix, tile_rows_);
    std::vector<TileProduct> others;
    others.reserve(variants.size());
    for (const Compared& variant : variants) {
        const auto& other = static_cast<const PackedMatrix&>(*variant.panel);
        others.emplace_back(gemm_for(other), variant.x, other, tile_rows_);
    }
    pool_.run((x.rows + tile_rows_ - 1) / tile_rows_, [&](std::int64_t task, int thread) {
        const std::int64_t begin = task * tile_rows_;
        const std::int64_t n_rows = std::min(tile_rows_, x.rows - begin);
        const std::size_t part = product.result_bytes();
        std::byte* memory = scratch(thread, 3 * part + product.scratch_bytes());
        auto* a = reinterpret_cast<float*>(memory);
        auto* powers = reinterpret_cast<float*>(memory + part);
        auto* b = reinterpret_cast<float*>(memory + 2 * part);
        std::vector<PanelSums> sums(static_cast<std::size_t>(n_rows));
        for (std::size_t p = 0; p < matrix.panels().size(); ++p) {
            const Panel& columns = matrix.panels()[p];
            const std::int64_t first_token = first + columns.first_col;
            const auto finish_logits = [&](float* row) {
                if (bias != nullptr) kernels_.axpy(1.0f, bias + columns.first_col, columns.cols, row);
                return kernels_.scale_and_max(row, columns.cols, scale, soft_cap);
            };
            product.run(p, begin, n_rows, a, memory + 3 * part);
            for (std::int64_t r = 0; r < n_rows; ++r) {
                PanelSums& of_row = sums[static_cast<std::size_t>(r)];
                float* row = a + r * columns.cols;
                of_row.largest = finish_logits(row);
                of_row.sum = kernels_.exp_row(row, columns.cols, of_row.largest, powers + r * columns.cols);
            }
            for (std::size_t v = 0; v < variants.size(); ++v) {
                auto& state = static_cast<CpuDivergenceState&>(*variants[v].state);
                others[v].run(p, begin, n_rows, b, memory + 3 * part);
                for (std::int64_t r = 0; r < n_rows; ++r) {
                    const auto index = static_cast<std::size_t>(begin + r);
                    const std::int64_t target = state.targets[index];
                    if (target < 0) continue;
                    const float* row_a = a + r * columns.cols;
                    float* row_b = b + r * columns.cols;
                    PanelSums of_a = sums[static_cast<std::size_t>(r)];
                    PanelSums of_b;
                    of_b.largest = finish_logits(row_b);
                    of_b.sum = kernels_.sum_exp(row_b, columns.cols, of_b.largest);
                    of_a.weighted =
                        kernels_.dot_difference(powers + r * columns.cols, row_a, row_b, columns.cols);
                    RowPair& pair = state.rows[index];
                    pair.a.add(of_a);
                    pair.b.add(of_b);
                    if (target >= first_token && target < first_token + columns.cols) {
                        pair.a.target_logit = row_a[target - first_token];
                        pair.b.target_logit = row_b[target - first_token];
                    }
                }
            }
        }
    });
}

std::vector<Divergence> CpuBackend::finish_divergence(DivergenceState& state) {
    const auto& found = static_cast<const CpuDivergenceState&>(state);
    std::vector<Divergence> result(found.rows.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        if (found.targets[i] < 0) continue;
        const RowSums& a = found.rows[i].a;
        const RowSums& b = found.rows[i].b;
        result[i] = {a.log_sum() - static_cast<double>(a.target_logit),
                     b.log_sum() - static_cast<double>(b.target_logit),
                     a.weighted / a.sum - (a.log_sum() - b.log_sum())};
    }
    return result;
}

}  // namespace assay::backend::cpu
