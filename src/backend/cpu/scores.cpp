// Losses, and divergences of variants, over panels of the vocabulary, without ever holding a row of logits.
#include <algorithm>
#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/tile_product.h"

namespace assay::backend::cpu {

namespace {

/// What one panel says about one side of a row.
struct PanelSums {
    std::span<const float> logits;
    std::int64_t first = 0;  ///< entry of the vocabulary that they begin at
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
    std::int64_t top = -1;  ///< entry of the vocabulary with the largest logit

    void add(const PanelSums& panel) {
        if (panel.largest > largest) {
            const double shrink = std::exp(static_cast<double>(largest) - static_cast<double>(panel.largest));
            sum *= shrink;
            weighted *= shrink;
            largest = panel.largest;
            top = panel.first + (std::ranges::find(panel.logits, largest) - panel.logits.begin());
        }
        const double scale = std::exp(static_cast<double>(panel.largest) - static_cast<double>(largest));
        sum += panel.sum * scale;
        weighted += panel.weighted * scale;
    }
    double log_sum() const { return std::log(sum) + static_cast<double>(largest); }
    double loss() const { return log_sum() - static_cast<double>(target_logit); }
};

struct RowPair {
    RowSums a;
    RowSums b;  ///< of no variant: nothing
};

class CpuScoreState final : public ScoreState {
  public:
    CpuScoreState(std::span<const std::int32_t> t, std::size_t n)
        : targets(t.begin(), t.end()),
          n_variants(n),
          pairs(std::max<std::size_t>(n, 1), std::vector<RowPair>(t.size())) {}
    std::vector<std::int32_t> targets;
    std::size_t n_variants;
    std::vector<std::vector<RowPair>> pairs;  ///< by variant; the model's losses are in the first
};

/// One task's work on a panel: tile rows of all sides.
class PanelScores {
  public:
    PanelScores(CpuScoreState& state, const Kernels& kernels, const Logits& logits, const Panel& columns,
                std::int64_t first_row)
        : state_(state),
          kernels_(kernels),
          logits_(logits),
          columns_(columns),
          first_token_(logits.first + columns.first_col),
          first_row_(static_cast<std::size_t>(first_row)) {}

    /// a: the model's products; bias: of all columns, or null; powers: room for the exponentials where there
    /// are variants, else null.
    void set_model(float* a, const float* bias, float* powers, std::size_t n_rows) {
        a_ = a;
        powers_ = powers;
        sums_.resize(n_rows);
        for (std::size_t r = 0; r < n_rows; ++r) {
            float* row = at(a, r);
            sums_[r] = finish(row, bias);
            sums_[r].sum = powers != nullptr
                               ? kernels_.exp_row(row, columns_.cols, sums_[r].largest, at(powers, r))
                               : kernels_.sum_exp(row, columns_.cols, sums_[r].largest);
        }
    }

    /// b, bias: the variant's; b null: there is no variant.
    void add(std::vector<RowPair>& pairs, float* b, const float* bias) const {
        for (std::size_t r = 0; r < sums_.size(); ++r) {
            const std::int64_t target = state_.targets[first_row_ + r];
            if (target < 0) continue;
            RowPair& pair = pairs[first_row_ + r];
            const float* row_a = at(a_, r);
            const bool here = target >= first_token_ && target < first_token_ + columns_.cols;
            if (here) pair.a.target_logit = row_a[target - first_token_];
            PanelSums of_a = sums_[r];
            if (b != nullptr) {
                float* row_b = at(b, r);
                PanelSums of_b = finish(row_b, bias);
                of_b.sum = kernels_.sum_exp(row_b, columns_.cols, of_b.largest);
                of_a.weighted = kernels_.dot_difference(at(powers_, r), row_a, row_b, columns_.cols);
                pair.b.add(of_b);
                if (here) pair.b.target_logit = row_b[target - first_token_];
            }
            pair.a.add(of_a);
        }
    }

  private:
    float* at(float* rows, std::size_t r) const {
        return rows + static_cast<std::int64_t>(r) * columns_.cols;
    }
    /// Makes the row's products logits.
    PanelSums finish(float* row, const float* bias) const {
        if (bias != nullptr) kernels_.axpy(1.0f, bias + columns_.first_col, columns_.cols, row);
        PanelSums panel;
        panel.logits = {row, static_cast<std::size_t>(columns_.cols)};
        panel.first = first_token_;
        panel.largest = kernels_.scale_and_max(row, columns_.cols, logits_.scale, logits_.soft_cap);
        return panel;
    }

    CpuScoreState& state_;
    const Kernels& kernels_;
    const Logits& logits_;
    const Panel& columns_;
    std::int64_t first_token_;
    std::size_t first_row_;
    float* a_ = nullptr;
    float* powers_ = nullptr;
    std::vector<PanelSums> sums_;
};

}  // namespace

ScoreStatePtr CpuBackend::begin_scores(std::span<const std::int32_t> targets, std::size_t n_variants) {
    return std::make_unique<CpuScoreState>(targets, n_variants);
}

void CpuBackend::add_scores(ScoreState& state, std::span<const ScoredSide> sides, const Logits& logits) {
    auto& scores = static_cast<CpuScoreState&>(state);
    std::vector<TileProduct> products;
    for (const ScoredSide& side : sides) {
        const auto& matrix = static_cast<const PackedMatrix&>(*side.panel);
        products.emplace_back(gemm_for(matrix), side.x, matrix, tile_rows_);
    }
    const auto& panels = static_cast<const PackedMatrix&>(*sides.front().panel).panels();
    const std::int64_t rows = sides.front().x.rows;
    pool_.run((rows + tile_rows_ - 1) / tile_rows_, [&](std::int64_t task, int thread) {
        const std::int64_t begin = task * tile_rows_;
        const std::int64_t n_rows = std::min(tile_rows_, rows - begin);
        const std::size_t part = products.front().result_bytes();
        std::byte* memory = scratch(thread, 3 * part + products.front().scratch_bytes());
        const auto piece = [&](std::size_t i) { return reinterpret_cast<float*>(memory + i * part); };
        std::byte* product_scratch = memory + 3 * part;
        for (std::size_t p = 0; p < panels.size(); ++p) {
            PanelScores panel(scores, kernels_, logits, panels[p], begin);
            products.front().run(p, begin, n_rows, piece(0), product_scratch);
            panel.set_model(piece(0), sides.front().bias, scores.n_variants > 0 ? piece(1) : nullptr,
                            static_cast<std::size_t>(n_rows));
            if (scores.n_variants == 0) panel.add(scores.pairs.front(), nullptr, nullptr);
            for (std::size_t v = 0; v < scores.n_variants; ++v) {
                products[1 + v].run(p, begin, n_rows, piece(2), product_scratch);
                panel.add(scores.pairs[v], piece(2), sides[1 + v].bias);
            }
        }
    });
}

Scores CpuBackend::finish_scores(ScoreState& state) {
    const auto& found = static_cast<const CpuScoreState&>(state);
    const std::size_t n_rows = found.targets.size();
    Scores scores{std::vector<double>(n_rows, 0.0),
                  std::vector<std::vector<Divergence>>(found.n_variants, std::vector<Divergence>(n_rows))};
    for (std::size_t i = 0; i < n_rows; ++i) {
        if (found.targets[i] < 0) continue;
        scores.losses[i] = found.pairs.front()[i].a.loss();
        for (std::size_t v = 0; v < found.n_variants; ++v) {
            const auto& [a, b] = found.pairs[v][i];
            scores.variants[v][i] = {a.loss(), b.loss(), a.weighted / a.sum - (a.log_sum() - b.log_sum()),
                                     a.top == b.top};
        }
    }
    return scores;
}

}  // namespace assay::backend::cpu
