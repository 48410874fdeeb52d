#include "backend/cuda/landing.h"

#include <algorithm>

#include "core/error.h"

namespace assay::backend::cuda {

DeviceLanding::DeviceLanding(DevicePtr device, std::size_t bytes)
    : device_(std::move(device)),
      host_(std::max<std::size_t>(bytes, 1)),
      capacity_bytes_(bytes),
      computed_(make_event()),
      arrived_(make_sleeping_event()) {}

DeviceLanding::~DeviceLanding() {
    // Neither this memory nor the device's may go while the copy is under way.
    if (started_) cudaEventSynchronize(arrived_.get());
}

void DeviceLanding::start(const void* from, std::size_t bytes) {
    if (bytes > capacity_bytes_)
        throw_error(ErrorKind::Internal, "cuda", "{} bytes are to arrive where {} have room", bytes,
                    capacity_bytes_);
    device_->use();
    bytes_ = bytes;
    check(cudaEventRecord(computed_.get(), device_->compute()), "recording an event");
    check(cudaStreamWaitEvent(device_->results(), computed_.get(), 0), "waiting for results");
    check(cudaMemcpyAsync(host_.data(), from, bytes, cudaMemcpyDeviceToHost, device_->results()),
          "copying results");
    check(cudaEventRecord(arrived_.get(), device_->results()), "recording an event");
    started_ = true;
}

std::span<const std::byte> DeviceLanding::wait() {
    device_->use();
    check(cudaEventSynchronize(arrived_.get()), "waiting for results");
    return {host_.data(), bytes_};
}

}  // namespace assay::backend::cuda
