// Output distributions of variants against those of the reference: products tile by tile, then divergence.cu.
#include <algorithm>
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"

namespace assay::backend::cuda {

namespace {

/// Of each of the two tiles of logits.
constexpr std::int64_t kTileBytes = kLogitBytes / 2;

class DeviceDivergence final : public DivergenceState {
  public:
    DeviceDivergence(const DevicePtr& device, std::span<const std::int32_t> host_targets)
        : n_rows(static_cast<std::int64_t>(host_targets.size())),
          host(host_targets.begin(), host_targets.end()),
          targets(device, host_targets.size_bytes(), device->compute()),
          rows(device, host_targets.size() * sizeof(DivergenceRow), device->compute()) {}

    std::int64_t n_rows;
    std::vector<std::int32_t> host;
    DeviceBuffer targets;
    DeviceBuffer rows;
};

double log_sum(const DivergenceSide& side) { return std::log(side.sum) + static_cast<double>(side.maximum); }

}  // namespace

DivergenceStatePtr CudaBackend::begin_divergence(std::span<const std::int32_t> targets) {
    device_->use();
    auto state = std::make_unique<DeviceDivergence>(device_, targets);
    check(cudaMemcpyAsync(state->targets.data(), state->host.data(), targets.size_bytes(),
                          cudaMemcpyHostToDevice, device_->compute()),
          "copying targets");
    check(cudaStreamSynchronize(device_->compute()), "copying targets");
    start_divergence(state->n_rows, reinterpret_cast<DivergenceRow*>(state->rows.data()), device_->compute());
    return state;
}

void CudaBackend::add_divergences(View x, const Matrix& panel, std::span<const Compared> variants,
                                  const float* bias, std::int64_t first, float scale, float soft_cap) {
    device_->use();
    const auto& matrix = static_cast<const DeviceMatrix&>(panel);
    const std::int64_t n = matrix.n_out();
    const std::int64_t tile = std::max<std::int64_t>(128, kTileBytes / (4 * std::max<std::int64_t>(n, 1)));
    const Temporary<float> memory_a(*device_, std::min(tile, x.rows) * n);
    const Temporary<float> memory_b(*device_, std::min(tile, x.rows) * n);
    for (std::int64_t row = 0; row < x.rows; row += tile) {
        const std::int64_t count = std::min(tile, x.rows - row);
        const View a{memory_a.get(), DType::F32, count, n, n};
        const View b{memory_b.get(), DType::F32, count, n, n};
        multiply(x.row_range(row, count), matrix, nullptr, false, a);
        for (const Compared& variant : variants) {
            auto& state = static_cast<DeviceDivergence&>(*variant.state);
            multiply(variant.x.row_range(row, count), static_cast<const DeviceMatrix&>(*variant.panel),
                     nullptr, false, b);
            fold_divergence(
                {a, b, bias, reinterpret_cast<const std::int32_t*>(state.targets.data()) + row, first, scale,
                 soft_cap, reinterpret_cast<DivergenceRow*>(state.rows.data()) + row},
                device_->compute());
        }
    }
}

std::vector<Divergence> CudaBackend::finish_divergence(DivergenceState& state) {
    const auto& found = static_cast<const DeviceDivergence&>(state);
    std::vector<DivergenceRow> rows(found.host.size());
    download(found.rows.data(), std::as_writable_bytes(std::span(rows)));
    std::vector<Divergence> result(rows.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        if (found.host[i] < 0) continue;
        const auto& [a, b] = rows[i];
        result[i] = {log_sum(a) - static_cast<double>(a.target_logit),
                     log_sum(b) - static_cast<double>(b.target_logit),
                     a.weighted / a.sum - (log_sum(a) - log_sum(b))};
    }
    return result;
}

}  // namespace assay::backend::cuda
