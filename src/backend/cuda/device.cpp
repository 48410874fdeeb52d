#include "backend/cuda/device.h"

#include <limits>

#include "core/error.h"

namespace assay::backend::cuda {

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // a refused allocation is no lasting fault: the next call must not see it
    if (status == cudaErrorMemoryAllocation)
        throw_error(ErrorKind::DeviceMemory, "cuda", "out of device memory ({})", what);
    throw_error(ErrorKind::Device, "cuda", "{} failed: {}", what, cudaGetErrorString(status));
}

namespace {

Event make_event(unsigned flags) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, flags), "creating an event");
    return Event(event);
}

}  // namespace

Event make_event() { return make_event(cudaEventDisableTiming); }

Event make_sleeping_event() { return make_event(cudaEventDisableTiming | cudaEventBlockingSync); }

Stream make_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
    return Stream(stream);
}

Device::Device(int index) : index_(index) {
    use();
    compute_ = make_stream();
    copy_ = make_stream();
    results_ = make_stream();
    check(cudaDeviceGetDefaultMemPool(&pool_, index_), "finding the memory pool");
    // Freed memory stays with the pool: asking the driver for it again would stop the device.
    std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep),
          "setting up the memory pool");
    std::size_t free_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes_), "reading the memory size");
}

void Device::use() const { check(cudaSetDevice(index_), "choosing the device"); }

void* Device::allocate(std::size_t bytes, cudaStream_t stream) const {
    void* memory = nullptr;
    if (bytes == 0) bytes = 1;
    if (cudaMallocAsync(&memory, bytes, stream) == cudaSuccess) return memory;
    cudaGetLastError();
    check(cudaDeviceSynchronize(), "waiting for the device");
    check(cudaMemPoolTrimTo(pool_, 0), "giving memory back");
    const cudaError_t status = cudaMallocAsync(&memory, bytes, stream);
    if (status == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw_error(ErrorKind::DeviceMemory, "cuda", "out of device memory: {} MiB wanted, {} of {} free",
                    bytes >> 20, free_bytes() >> 20, total_bytes_ >> 20);
    }
    check(status, "allocating memory");
    return memory;
}

std::size_t Device::free_bytes() const {
    use();
    std::size_t outside = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&outside, &total), "reading the memory size");
    std::uint64_t reserved = 0;
    std::uint64_t used = 0;
    check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved),
          "asking the memory pool");
    check(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used), "asking the memory pool");
    return outside + (reserved - used);
}

void Device::release(void* memory) const noexcept {
    cudaSetDevice(index_);
    cudaFreeAsync(memory, compute_.get());
}

DeviceBuffer::DeviceBuffer(DevicePtr device, std::size_t bytes, cudaStream_t stream)
    : device_(std::move(device)) {
    data_ = static_cast<std::byte*>(device_->allocate(bytes, stream));
    size_bytes_ = bytes;
}

DeviceBuffer::~DeviceBuffer() { device_->release(data_); }

PinnedMemory::PinnedMemory(std::size_t bytes) {
    check(cudaHostAlloc(&data_, bytes, cudaHostAllocDefault), "allocating page-locked host memory");
}

PinnedMemory::~PinnedMemory() {
    if (data_ != nullptr) cudaFreeHost(data_);
}

}  // namespace assay::backend::cuda
