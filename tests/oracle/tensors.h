// A model's numbers as its file has them.
#pragma once

#include <map>
#include <string>

#include "gguf/file.h"
#include "model/program.h"
#include "oracle/table.h"

namespace assay::oracle {

/// Decodes each tensor once. The file is borrowed.
class Tensors {
  public:
    explicit Tensors(const gguf::File& file) : file_(file) {}

    /// All numbers of the tensor, in the file's order. Throws Error{BadFile} when there is none.
    const Numbers& get(const std::string& name) const;
    /// Of an absent vector: none.
    Numbers vector(const model::Vector& vector) const;
    /// Of a tensor of 32-bit integers.
    std::int64_t integer(const std::string& name, std::int64_t index) const;

    /// y = scale * W x + bias, W matrix number `matrix` of the weight; x [rows, n_in], y [rows, n_out].
    Table product(const Table& x, const model::Linear& linear, std::int64_t matrix) const;

  private:
    const gguf::File& file_;
    mutable std::map<std::string, Numbers> decoded_;
};

}  // namespace assay::oracle
