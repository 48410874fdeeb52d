// Output distributions of the model and its variants: products tile by tile, then scores.cu.
#include <algorithm>
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"

namespace assay::backend::cuda {

namespace {

class DeviceScores final : public ScoreState {
  public:
    DeviceScores(const DevicePtr& device, std::span<const std::int32_t> host_targets, std::size_t n)
        : host(host_targets.begin(), host_targets.end()),
          n_variants(n),
          targets(device, host_targets.size_bytes(), device->compute()),
          pairs(device, host_targets.size() * std::max<std::size_t>(n, 1) * sizeof(ScoreRow),
                device->compute()) {}

    /// By variant; the model's losses are in the first.
    ScoreRow* rows_of(std::size_t variant) const {
        return reinterpret_cast<ScoreRow*>(pairs.data()) + variant * host.size();
    }
    std::vector<std::int32_t> host;
    std::size_t n_variants;
    DeviceBuffer targets;
    DeviceBuffer pairs;
};

double log_sum(const ScoreSide& side) { return std::log(side.sum) + static_cast<double>(side.maximum); }
double loss_of(const ScoreSide& side) { return log_sum(side) - static_cast<double>(side.target_logit); }

}  // namespace

ScoreStatePtr CudaBackend::begin_scores(std::span<const std::int32_t> targets, std::size_t n_variants) {
    device_->use();
    auto state = std::make_unique<DeviceScores>(device_, targets, n_variants);
    check(cudaMemcpyAsync(state->targets.data(), state->host.data(), targets.size_bytes(),
                          cudaMemcpyHostToDevice, device_->compute()),
          "copying targets");
    check(cudaStreamSynchronize(device_->compute()), "copying targets");
    const std::size_t n_rows = state->host.size() * std::max<std::size_t>(n_variants, 1);
    start_scores(static_cast<std::int64_t>(n_rows), state->rows_of(0), device_->compute());
    return state;
}

void CudaBackend::add_scores(ScoreState& state, std::span<const ScoredSide> sides, const Logits& logits) {
    device_->use();
    auto& scores = static_cast<DeviceScores&>(state);
    const std::int64_t n = sides.front().panel->n_out();
    const std::int64_t rows = sides.front().x.rows;
    const std::int64_t n_tiles = scores.n_variants > 0 ? 2 : 1;
    const std::int64_t tile =
        std::max<std::int64_t>(128, kLogitBytes / n_tiles / (4 * std::max<std::int64_t>(n, 1)));
    const std::int64_t tile_values = std::min(tile, rows) * n;
    const Temporary<float> memory(*device_, n_tiles * tile_values);
    for (std::int64_t row = 0; row < rows; row += tile) {
        const std::int64_t count = std::min(tile, rows - row);
        const View a{memory.get(), DType::F32, count, n, n};
        const View b{memory.get() + tile_values, DType::F32, count, n, n};
        const auto product = [&](const ScoredSide& side, const View& to) {
            multiply(side.x.row_range(row, count), static_cast<const DeviceMatrix&>(*side.panel), nullptr,
                     false, to);
        };
        const auto fold = [&](const View& other, const float* bias, std::size_t variant) {
            fold_scores({a, other, sides.front().bias, bias,
                         reinterpret_cast<const std::int32_t*>(scores.targets.data()) + row, logits,
                         scores.rows_of(variant) + row},
                        device_->compute());
        };
        product(sides.front(), a);
        if (scores.n_variants == 0) fold({}, nullptr, 0);
        for (std::size_t v = 0; v < scores.n_variants; ++v) {
            product(sides[1 + v], b);
            fold(b, sides[1 + v].bias, v);
        }
    }
}

Scores CudaBackend::finish_scores(ScoreState& state) {
    const auto& found = static_cast<const DeviceScores&>(state);
    const std::size_t n_rows = found.host.size();
    std::vector<ScoreRow> rows(n_rows * std::max<std::size_t>(found.n_variants, 1));
    download(found.pairs.data(), std::as_writable_bytes(std::span(rows)));
    Scores scores{std::vector<double>(n_rows, 0.0),
                  std::vector<std::vector<Divergence>>(found.n_variants, std::vector<Divergence>(n_rows))};
    for (std::size_t i = 0; i < n_rows; ++i) {
        if (found.host[i] < 0) continue;
        scores.losses[i] = loss_of(rows[i].a);
        for (std::size_t v = 0; v < found.n_variants; ++v) {
            const auto& [a, b] = rows[v * n_rows + i];
            scores.variants[v][i] = {loss_of(a), loss_of(b), a.weighted / a.sum - (log_sum(a) - log_sum(b)),
                                     a.top == b.top};
        }
    }
    return scores;
}

}  // namespace assay::backend::cuda
