// Losses of rows: products with panels of the vocabulary tile by tile, then losses.cu.
#include <algorithm>
#include <cmath>

#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"

namespace assay::backend::cuda {

namespace {

class DeviceLosses final : public LossState {
  public:
    DeviceLosses(const DevicePtr& device, std::span<const std::int32_t> host_targets)
        : n_rows(static_cast<std::int64_t>(host_targets.size())),
          targets(device, host_targets.size_bytes(), device->compute()),
          maximum(device, host_targets.size() * sizeof(float), device->compute()),
          sum(device, host_targets.size() * sizeof(double), device->compute()),
          target_logit(device, host_targets.size() * sizeof(float), device->compute()),
          has_target(host_targets.size()) {
        for (std::size_t i = 0; i < has_target.size(); ++i) has_target[i] = host_targets[i] >= 0;
    }

    std::int64_t n_rows;
    DeviceBuffer targets;
    DeviceBuffer maximum;
    DeviceBuffer sum;
    DeviceBuffer target_logit;
    std::vector<bool> has_target;
};

template <typename T> T* as(const DeviceBuffer& buffer, std::int64_t first = 0) {
    return reinterpret_cast<T*>(buffer.data()) + first;
}

}  // namespace

LossStatePtr CudaBackend::begin_losses(std::span<const std::int32_t> targets) {
    device_->use();
    auto state = std::make_unique<DeviceLosses>(device_, targets);
    check(cudaMemcpyAsync(state->targets.data(), targets.data(), targets.size_bytes(), cudaMemcpyHostToDevice,
                          device_->compute()),
          "copying targets");
    check(cudaStreamSynchronize(device_->compute()), "copying targets");
    start_losses(state->n_rows, as<float>(state->maximum), as<double>(state->sum),
                 as<float>(state->target_logit), device_->compute());
    return state;
}

void CudaBackend::add_losses(LossState& state, std::int64_t first_row, View x, const Matrix& panel,
                             const float* bias, std::int64_t first, float scale, float soft_cap) {
    device_->use();
    auto& losses = static_cast<DeviceLosses&>(state);
    const DeviceMatrix& matrix = static_cast<const DeviceMatrix&>(panel);
    const std::int64_t n = matrix.n_out();
    const std::int64_t tile = std::max<std::int64_t>(128, kLogitBytes / (4 * std::max<std::int64_t>(n, 1)));
    const Temporary<float> memory(*device_, std::min(tile, x.rows) * n);
    for (std::int64_t row = 0; row < x.rows; row += tile) {
        const std::int64_t count = std::min(tile, x.rows - row);
        const View logits{memory.get(), DType::F32, count, n, n};
        multiply(x.row_range(row, count), matrix, nullptr, false, logits);
        const std::int64_t at = first_row + row;
        fold_losses(
            {logits, bias, as<std::int32_t>(losses.targets, at), first, scale, soft_cap,
             as<float>(losses.maximum, at), as<double>(losses.sum, at), as<float>(losses.target_logit, at)},
            device_->compute());
    }
}

std::vector<double> CudaBackend::finish_losses(LossState& state) {
    auto& losses = static_cast<DeviceLosses&>(state);
    const auto n = static_cast<std::size_t>(losses.n_rows);
    std::vector<float> maximum(n);
    std::vector<double> sum(n);
    std::vector<float> target_logit(n);
    download(losses.maximum.data(), std::as_writable_bytes(std::span(maximum)));
    download(losses.sum.data(), std::as_writable_bytes(std::span(sum)));
    download(losses.target_logit.data(), std::as_writable_bytes(std::span(target_logit)));
    std::vector<double> result(n, 0.0);
    for (std::size_t i = 0; i < n; ++i)
        if (losses.has_target[i])
            result[i] =
                std::log(sum[i]) + static_cast<double>(maximum[i]) - static_cast<double>(target_logit[i]);
    return result;
}

}  // namespace assay::backend::cuda
