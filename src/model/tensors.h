// Tensors of a model found by name and checked against the shape that its metadata asks for.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "model/program.h"

namespace assay::model {

/// "blk.7.attn_q"
std::string block_name(std::int64_t layer, std::string_view name);

/// Finds tensors of one model and remembers which were asked for. Throws Error{BadFile} naming tensor, found
/// and expected shape. The file is borrowed.
class Tensors {
  public:
    explicit Tensors(const gguf::File& file) : file_(file) {}

    const gguf::File& file() const noexcept { return file_; }
    bool has(std::string_view name) const { return file_.find(name) != nullptr; }

    /// "<prefix>.weight" of [n_in, n_out] or [n_in, n_out, n_matrices].
    Weight weight(const std::string& prefix, std::int64_t n_in, std::int64_t n_out,
                  std::int64_t n_matrices = 1);
    /// The same, with "<prefix>.scale" and "<prefix>.bias" where they exist.
    Linear linear(const std::string& prefix, std::int64_t n_in, std::int64_t n_out,
                  std::int64_t n_matrices = 1);
    /// "<prefix>.weight" (or "<prefix>", as a few files spell it) [size] and, where it exists,
    /// "<prefix>.bias".
    Norm norm(const std::string& prefix, NormKind kind, std::int64_t size, float eps);
    /// The tensor `name` with so many numbers in all, whatever its shape.
    Vector vector(const std::string& name, std::int64_t size);
    /// The same, or absent.
    Vector optional_vector(const std::string& name, std::int64_t size);
    /// What such a tensor holds, for constants that are computed from it.
    std::vector<float> numbers(const std::string& name, std::int64_t size);

    /// Tensors that were asked for so far.
    const std::set<std::string>& used() const noexcept { return used_; }

  private:
    const gguf::Tensor& get(const std::string& name);
    void check(const std::string& name, std::initializer_list<std::int64_t> ne);

    const gguf::File& file_;
    std::set<std::string> used_;
};

}  // namespace assay::model
