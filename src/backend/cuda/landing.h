// Results on their way to the host, on a stream of their own.
#pragma once

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace assay::backend::cuda {

class DeviceLanding final : public Landing {
  public:
    explicit DeviceLanding(DevicePtr device);

    void mark() override;
    std::span<const std::byte> fetch(const void* from, std::size_t bytes) override;
    /// The device adds the chunks up: once the size of the totals travels, however many there are.
    std::optional<std::int64_t> add_chunks(const Sums& sums, std::int64_t n_chunks,
                                           const Totals& totals) override;

  private:
    void begin(std::size_t host_bytes);
    void finish();

    DevicePtr device_;
    PinnedMemory host_;
    std::size_t host_bytes_ = 0;
    std::unique_ptr<DeviceBuffer> totals_;
    Event computed_;  ///< the operations that are waited for
    Event arrived_;
};

}  // namespace assay::backend::cuda
