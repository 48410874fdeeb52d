// The CUDA objects that the operations share: one device, its three streams, its memory.
//
// All operations run on the compute stream, in order. Weights are copied and decoded on the copy stream, so
// that the next layer arrives while this one computes, and results leave on a third one. Memory comes from a
// stream-ordered pool: what is freed is reused by later work of the stream without waiting for the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cuda_runtime_api.h>
#include <memory>
#include <utility>

#include "backend/backend.h"

namespace assay::backend::cuda {

/// Throws Error{Device} naming the call that failed, Error{DeviceMemory} where memory was the reason.
void check(cudaError_t status, const char* what);

/// A move-only owner of a stream or an event.
template <typename T, cudaError_t (*kDestroy)(T)> class Handle {
  public:
    Handle() = default;
    explicit Handle(T handle) : handle_(handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Handle() {
        if (handle_ != nullptr) kDestroy(handle_);
    }
    T get() const noexcept { return handle_; }

  private:
    T handle_ = nullptr;
};
using Stream = Handle<cudaStream_t, cudaStreamDestroy>;
using Event = Handle<cudaEvent_t, cudaEventDestroy>;

Event make_event();
/// Who waits for it sleeps, as a thread does that shares its processor with others.
Event make_sleeping_event();
Stream make_stream();

/// One device of the machine. Objects that hold its memory share it.
class Device {
  public:
    /// Throws Error{Device} when the device does not exist.
    explicit Device(int index);

    int index() const noexcept { return index_; }
    cudaStream_t compute() const noexcept { return compute_.get(); }
    cudaStream_t copy() const noexcept { return copy_.get(); }
    cudaStream_t results() const noexcept { return results_.get(); }
    std::size_t total_bytes() const noexcept { return total_bytes_; }
    /// Of the device, with what the pool holds unused.
    std::size_t free_bytes() const;

    /// Makes the device that of the calling thread; every entry point does it first.
    void use() const;

    /// Memory that may be used by work enqueued on `stream` from now on. Throws Error{DeviceMemory} when
    /// there is not enough, after giving unused parts of the pool back and trying again.
    void* allocate(std::size_t bytes, cudaStream_t stream) const;
    /// Returns memory to the pool once the work enqueued so far on the compute stream is done.
    void release(void* memory) const noexcept;

  private:
    int index_;
    Stream compute_;
    Stream copy_;
    Stream results_;
    cudaMemPool_t pool_ = nullptr;
    std::size_t total_bytes_ = 0;
};
using DevicePtr = std::shared_ptr<const Device>;

class DeviceBuffer final : public Buffer {
  public:
    DeviceBuffer(DevicePtr device, std::size_t bytes, cudaStream_t stream);
    ~DeviceBuffer() override;
    DeviceBuffer(const DeviceBuffer&) = delete;
    DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  private:
    DevicePtr device_;
};

/// Memory of one operation on the compute stream; later operations may reuse it at once.
template <typename T> class Temporary {
  public:
    Temporary(const Device& device, std::int64_t count)
        : device_(device),
          data_(count == 0 ? nullptr
                           : static_cast<T*>(device.allocate(static_cast<std::size_t>(count) * sizeof(T),
                                                             device.compute()))) {}
    ~Temporary() {
        if (data_ != nullptr) device_.release(data_);
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    T* get() const noexcept { return data_; }

  private:
    const Device& device_;
    T* data_;
};

/// Page-locked host memory.
class PinnedMemory {
  public:
    PinnedMemory() = default;
    explicit PinnedMemory(std::size_t bytes);
    PinnedMemory(PinnedMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    PinnedMemory& operator=(PinnedMemory&& other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }
    ~PinnedMemory();
    std::byte* data() const noexcept { return static_cast<std::byte*>(data_); }

  private:
    void* data_ = nullptr;
};

}  // namespace assay::backend::cuda
