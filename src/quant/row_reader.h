// Single rows of a stored matrix, also of types that store several rows together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "quant/decode.h"

namespace assay::quant {

/// For one thread.
class RowReader {
  public:
    /// Throws Error{Shape} when rows of n_in are no whole number of the type's blocks.
    RowReader(const TypeInfo& type, std::uint64_t n_in, Isa isa);
    /// Decodes row number `row` of the matrix that begins at `matrix` into out [n_in].
    void read(const std::byte* matrix, std::uint64_t row, float* out);

  private:
    DecodeRows decode_;
    std::size_t n_in_;
    std::uint64_t group_rows_;
    std::uint64_t group_bytes_;
    std::vector<float> group_;  ///< [group_rows, n_in]; empty where rows lie alone
};

}  // namespace assay::quant
