// Log-softmax losses over panels of the vocabulary, without ever holding a row of logits.
#include <algorithm>
#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/tile_product.h"

namespace assay::backend::cpu {

namespace {

/// exp-sums are kept relative to the largest logit so far (Milakov & Gimelshein 2018, online softmax).
struct RowLoss {
    float largest = -INFINITY;
    double sum = 0;
    float target_logit = 0;
};

class CpuLossState final : public LossState {
  public:
    explicit CpuLossState(std::span<const std::int32_t> t) : targets(t.begin(), t.end()), rows(t.size()) {}
    std::vector<std::int32_t> targets;
    std::vector<RowLoss> rows;
};

}  // namespace

LossStatePtr CpuBackend::begin_losses(std::span<const std::int32_t> targets) {
    return std::make_unique<CpuLossState>(targets);
}

void CpuBackend::add_losses(LossState& state, std::int64_t first_row, View x, const Matrix& panel,
                            const float* bias, std::int64_t first, float scale, float soft_cap) {
    auto& losses = static_cast<CpuLossState&>(state);
    const auto& matrix = static_cast<const PackedMatrix&>(panel);
    const TileProduct product(gemm_for(matrix), x, matrix, tile_rows_);
    pool_.run((x.rows + tile_rows_ - 1) / tile_rows_, [&](std::int64_t task, int thread) {
        const std::int64_t begin = task * tile_rows_;
        const std::int64_t n_rows = std::min(tile_rows_, x.rows - begin);
        std::byte* memory = scratch(thread, product.result_bytes() + product.scratch_bytes());
        auto* logits = reinterpret_cast<float*>(memory);
        for (std::size_t p = 0; p < matrix.panels().size(); ++p) {
            const Panel& columns = matrix.panels()[p];
            product.run(p, begin, n_rows, logits, memory + product.result_bytes());
            const std::int64_t first_token = first + columns.first_col;
            for (std::int64_t r = 0; r < n_rows; ++r) {
                const auto index = static_cast<std::size_t>(first_row + begin + r);
                const std::int64_t target = losses.targets[index];
                if (target < 0) continue;
                float* row = logits + r * columns.cols;
                if (bias != nullptr) kernels_.axpy(1.0f, bias + columns.first_col, columns.cols, row);
                const float largest = kernels_.scale_and_max(row, columns.cols, scale, soft_cap);
                RowLoss& loss = losses.rows[index];
                if (largest > loss.largest) {
                    loss.sum *= std::exp(static_cast<double>(loss.largest) - static_cast<double>(largest));
                    loss.largest = largest;
                }
                loss.sum += kernels_.sum_exp(row, columns.cols, loss.largest);
                if (target >= first_token && target < first_token + columns.cols)
                    loss.target_logit = row[target - first_token];
            }
        }
    });
}

std::vector<double> CpuBackend::finish_losses(LossState& state) {
    const auto& losses = static_cast<const CpuLossState&>(state);
    std::vector<double> result(losses.rows.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        const RowLoss& row = losses.rows[i];
        if (losses.targets[i] >= 0)
            result[i] =
                std::log(row.sum) + static_cast<double>(row.largest) - static_cast<double>(row.target_logit);
    }
    return result;
}

}  // namespace assay::backend::cpu
