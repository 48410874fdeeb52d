#include "backend/cuda/landing.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

DeviceLanding::DeviceLanding(DevicePtr device)
    : device_(std::move(device)), computed_(make_event()), arrived_(make_sleeping_event()) {}

void DeviceLanding::mark() {
    device_->use();
    check(cudaEventRecord(computed_.get(), device_->compute()), "recording an event");
}

void DeviceLanding::begin(std::size_t host_bytes) {
    device_->use();
    if (host_bytes > host_bytes_) {
        host_ = PinnedMemory(host_bytes);
        host_bytes_ = host_bytes;
    }
    check(cudaStreamWaitEvent(device_->results(), computed_.get(), 0), "waiting for results");
}

void DeviceLanding::finish() {
    check(cudaEventRecord(arrived_.get(), device_->results()), "recording an event");
    check(cudaEventSynchronize(arrived_.get()), "waiting for results");
}

std::span<const std::byte> DeviceLanding::fetch(const void* from, std::size_t bytes) {
    begin(std::max<std::size_t>(bytes, 1));
    check(cudaMemcpyAsync(host_.data(), from, bytes, cudaMemcpyDeviceToHost, device_->results()),
          "copying results");
    finish();
    return {host_.data(), bytes};
}

std::optional<std::int64_t> DeviceLanding::add_chunks(const Sums& sums, std::int64_t n_chunks,
                                                      const Totals& totals) {
    // As the kernel takes them: squares, plain, and in the end the first chunk that is not finite.
    const std::size_t columns = std::max(totals.squares.size(), totals.plain.size());
    const std::size_t bytes = 2 * columns * sizeof(double) + sizeof(std::int64_t);
    begin(bytes);
    if (totals_ == nullptr || totals_->size_bytes() < bytes)
        totals_ = std::make_unique<DeviceBuffer>(device_, bytes, device_->results());
    const auto at = [&](std::size_t i) { return host_.data() + i * sizeof(double); };
    std::memset(host_.data(), 0, bytes);
    if (!totals.squares.empty()) std::memcpy(at(0), totals.squares.data(), totals.squares.size_bytes());
    if (!totals.plain.empty()) std::memcpy(at(columns), totals.plain.data(), totals.plain.size_bytes());
    std::memcpy(at(2 * columns), &n_chunks, sizeof n_chunks);
    check(cudaMemcpyAsync(totals_->data(), host_.data(), bytes, cudaMemcpyHostToDevice, device_->results()),
          "copying totals");
    add_to_totals(sums, n_chunks, static_cast<std::int64_t>(columns),
                  reinterpret_cast<double*>(totals_->data()), device_->results());
    check(cudaMemcpyAsync(host_.data(), totals_->data(), bytes, cudaMemcpyDeviceToHost, device_->results()),
          "copying totals");
    finish();
    if (!totals.squares.empty()) std::memcpy(totals.squares.data(), at(0), totals.squares.size_bytes());
    if (!totals.plain.empty()) std::memcpy(totals.plain.data(), at(columns), totals.plain.size_bytes());
    std::int64_t bad = 0;
    std::memcpy(&bad, at(2 * columns), sizeof bad);
    return bad < n_chunks ? std::optional(bad) : std::nullopt;
}

}  // namespace assay::backend::cuda
