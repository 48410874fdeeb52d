// Results on their way to the host, on a stream of their own.
#pragma once

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace assay::backend::cuda {

class DeviceLanding final : public Landing {
  public:
    DeviceLanding(DevicePtr device, std::size_t bytes);
    ~DeviceLanding() override;
    DeviceLanding(const DeviceLanding&) = delete;
    DeviceLanding& operator=(const DeviceLanding&) = delete;

    void start(const void* from, std::size_t bytes) override;
    std::span<const std::byte> wait() override;

  private:
    DevicePtr device_;
    PinnedMemory host_;
    std::size_t capacity_bytes_;
    std::size_t bytes_ = 0;
    Event computed_;  ///< the operations before the copy
    Event arrived_;
    bool started_ = false;
};

}  // namespace assay::backend::cuda
