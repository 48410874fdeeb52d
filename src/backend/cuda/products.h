// Matrix products with cuBLASLt.
//
// A row's result must not depend on the rows beside it. So an algorithm is chosen once per shape, for a
// nominal number of rows, without splitting of the inner dimension, and used for every number of rows: each
// output then adds its products in an order that the shape alone decides.
#pragma once

#include <cstdint>
#include <cublasLt.h>
#include <map>
#include <tuple>

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace assay::backend::cuda {

/// x [rows, n_in] times the transpose of w [n_out, n_in] (row stride n_in, x's type).
struct Product {
    View x;
    const void* w = nullptr;
    std::int64_t n_in = 0;
    std::int64_t n_out = 0;
    const float* bias = nullptr;  ///< [n_out], only with an f32 result; null: none
    bool accumulate = false;      ///< added to out
    View out;                     ///< [rows, n_out], the type of x or f32
    std::int64_t nominal_rows = 0;
};

/// For one thread at a time; everything runs on the device's compute stream.
class Products {
  public:
    explicit Products(DevicePtr device);
    ~Products();
    Products(const Products&) = delete;
    Products& operator=(const Products&) = delete;

    /// Throws Error{Device} when the library has no algorithm for the shape.
    void multiply(const Product& product);

  private:
    /// Operand and result types, accumulate, bias, n_in, n_out, nominal rows, alignments of x, w and out.
    using Key = std::tuple<DType, DType, bool, bool, std::int64_t, std::int64_t, std::int64_t, unsigned,
                           unsigned, unsigned>;
    struct Layouts;

    const cublasLtMatmulAlgo_t& algorithm(const Key& key, const Product& product, Layouts& nominal);

    DevicePtr device_;
    cublasLtHandle_t handle_ = nullptr;
    void* workspace_ = nullptr;
    std::map<Key, cublasLtMatmulAlgo_t> algorithms_;
};

}  // namespace assay::backend::cuda
