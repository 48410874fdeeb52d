// Matrix products with cuBLASLt.
//
// A row's result must not depend on the rows beside it. So an algorithm is chosen once per shape, for a
// nominal number of rows, without splitting of the inner dimension, and used for every number of rows: each
// output then adds its products in an order that the shape alone decides.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cublasLt.h>
#include <map>
#include <span>

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace assay::backend::cuda {

/// x [rows, n_in] times the transpose of w [n_out, n_in] (x's type).
struct Product {
    View x;
    const void* w = nullptr;
    std::int64_t n_in = 0;
    std::int64_t n_out = 0;
    std::int64_t w_stride = 0;    ///< of rows; 0: n_in
    bool w_by_inputs = false;     ///< w is [n_in, n_out], not transposed; 0 stride: n_out
    const float* bias = nullptr;  ///< [n_out], only with an f32 result; null: none
    bool accumulate = false;      ///< added to out
    View out;                     ///< [rows, n_out], the type of x or f32
    std::int64_t nominal_rows = 0;
    /// So many products of this kind, the operands so many elements apart; w_step may be 0.
    std::int64_t batch = 1;
    std::int64_t x_step = 0;
    std::int64_t w_step = 0;
    std::int64_t out_step = 0;

    std::int64_t row_of_w() const noexcept { return w_stride > 0 ? w_stride : w_by_inputs ? n_out : n_in; }
};

/// For one thread at a time; everything runs on the device's compute stream.
class Products {
  public:
    explicit Products(DevicePtr device);
    ~Products();
    Products(const Products&) = delete;
    Products& operator=(const Products&) = delete;

    /// On the compute stream. Throws Error{Device} when the library has no algorithm for the shape.
    void multiply(const Product& product) { multiply(product, device_->compute(), workspaces_[kLanes]); }
    /// Several products that do not depend on each other, side by side: small ones leave the chip half empty.
    /// Before and after them the compute stream's order holds.
    void multiply_all(std::span<const Product> products);

  private:
    /// What an algorithm is chosen by.
    struct Key {
        DType operand;
        DType result;
        bool accumulate;
        bool bias;
        bool w_by_inputs;
        std::int64_t batch;
        std::int64_t n_in;
        std::int64_t n_out;
        std::int64_t nominal_rows;
        std::uint32_t x_alignment;  ///< in bytes
        std::uint32_t w_alignment;
        std::uint32_t out_alignment;

        auto operator<=>(const Key&) const = default;
    };
    struct Layouts;

    static constexpr std::size_t kLanes = 4;

    void multiply(const Product& product, cudaStream_t stream, void* workspace);
    const cublasLtMatmulAlgo_t& algorithm(const Key& key, const Product& product, Layouts& nominal);

    DevicePtr device_;
    cublasLtHandle_t handle_ = nullptr;
    std::array<Stream, kLanes> lanes_;
    std::array<Event, kLanes> lanes_done_;
    Event fork_;
    std::array<void*, kLanes + 1> workspaces_{};  ///< one a lane, the last the compute stream's
    std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
};

}  // namespace assay::backend::cuda
