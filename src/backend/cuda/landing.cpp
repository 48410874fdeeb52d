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
    // On the device: the first chunk that is not finite, high parts and low parts, of squares and then of
    // values each.
    const std::size_t columns = std::max(totals.squares.high.size(), totals.plain.high.size());
    const std::size_t low_at = sizeof(std::uint64_t) + 2 * columns * sizeof(double);
    const std::size_t bytes = low_at + 2 * columns * sizeof(float);
    begin(bytes);
    if (totals_ == nullptr || totals_->size_bytes() < bytes)
        totals_ = std::make_unique<DeviceBuffer>(device_, bytes, device_->results());
    std::byte* const there = totals_->data();
    check(cudaMemsetAsync(there, 0xff, sizeof(std::uint64_t), device_->results()), "clearing totals");
    add_up(sums, n_chunks, static_cast<std::int64_t>(columns),
           {reinterpret_cast<double*>(there + sizeof(std::uint64_t)),
            reinterpret_cast<float*>(there + low_at), reinterpret_cast<unsigned long long*>(there)},
           device_->results());
    check(cudaMemcpyAsync(host_.data(), there, bytes, cudaMemcpyDeviceToHost, device_->results()),
          "copying totals");
    finish();
    const auto* high = reinterpret_cast<const double*>(host_.data() + sizeof(std::uint64_t));
    const auto* low = reinterpret_cast<const float*>(host_.data() + low_at);
    {
        const auto alone =
            totals.guard != nullptr ? std::unique_lock(*totals.guard) : std::unique_lock<std::mutex>();
        const auto add = [&](const ExactSums& to, std::size_t first) {
            to.add({high + first, to.high.size()}, {low + first, to.high.size()});
        };
        add(totals.squares, 0);
        add(totals.plain, columns);
    }
    std::uint64_t bad = 0;
    std::memcpy(&bad, host_.data(), sizeof bad);
    return bad < static_cast<std::uint64_t>(n_chunks) ? std::optional(static_cast<std::int64_t>(bad))
                                                      : std::nullopt;
}

}  // namespace assay::backend::cuda
