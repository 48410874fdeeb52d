// Weights on the device: staged, copied and decoded beside the compute stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "backend/backend.h"
#include "backend/cuda/decode.h"
#include "backend/cuda/device.h"
#include "core/thread_pool.h"

namespace assay::backend::cuda {

/// [n_out, n_in] row-major in the operand's type. Ready once the device passes `ready`.
class DeviceMatrix final : public Matrix {
  public:
    DeviceMatrix(DevicePtr device, DType dtype, std::int64_t n_in, std::int64_t n_out);
    ~DeviceMatrix() override;
    DeviceMatrix(const DeviceMatrix&) = delete;
    DeviceMatrix& operator=(const DeviceMatrix&) = delete;

    std::int64_t n_in() const noexcept override { return n_in_; }
    std::int64_t n_out() const noexcept override { return n_out_; }
    std::size_t size_bytes() const noexcept override { return size_bytes_; }

    View view() const noexcept { return {data_, dtype_, n_out_, n_in_, n_in_}; }
    /// To be called once everything that fills the matrix is on the copy stream.
    void mark_ready();
    /// Work enqueued on the compute stream from now on sees the finished matrix.
    const void* acquire() const;

  private:
    DevicePtr device_;
    DType dtype_;
    std::int64_t n_in_;
    std::int64_t n_out_;
    std::size_t size_bytes_;
    void* data_ = nullptr;
    Event ready_;
    bool marked_ = false;
};

/// Brings rows to the device through two page-locked pieces of host memory: one is filled, by threads of its
/// own, while the other is under way. Safe to call from several threads, which then take turns.
class Loader {
  public:
    explicit Loader(DevicePtr device);

    /// Decodes the source's rows to out [n_out, n_in] on `stream` and returns before they are done. The
    /// source's bytes may go when it returns. Throws Error{Shape} when they are not as many as the shape
    /// says.
    void decode_rows(const WeightSource& source, View out, cudaStream_t stream);
    /// The same for columns from `first_col` on of rows of the table, in the order of `rows`.
    void decode_rows(const WeightSource& table, std::span<const std::int32_t> rows, float scale,
                     std::int64_t first_col, View out, cudaStream_t stream);
    /// Copies numbers as they are and waits.
    void copy(std::span<const float> values, void* to);

  private:
    struct Piece {
        PinnedMemory host;
        std::unique_ptr<DeviceBuffer> device;
        Event done;
    };

    /// copy(row, to) brings one row into host memory; called from several threads.
    template <typename Copy>
    void stage(const WeightSource& source, std::int64_t n_rows, float scale, std::int64_t first_col, View out,
               cudaStream_t stream, const Copy& copy);

    DevicePtr device_;
    std::mutex mutex_;
    ThreadPool fillers_;
    std::size_t piece_bytes_;
    std::array<Piece, 4> pieces_;
    std::size_t next_ = 0;
    std::unique_ptr<DeviceBuffer> books_memory_;
    Codebooks books_;
};

}  // namespace assay::backend::cuda
