// Writing GGUF version 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "gguf/metadata.h"
#include "quant/type_table.h"

namespace assay::gguf {

/// Collects keys and tensors in order, then gives the file's bytes. Alignment is 32.
class Writer {
  public:
    /// Takes bytes, one piece after another.
    using Out = FileContent::Out;

    void add(std::string key, Value value) { pairs_.emplace_back(std::move(key), std::move(value)); }

    /// `ne` in the file's order, fastest first; trailing ones are not stored. `data` is borrowed until it is
    /// written. Throws Error{Shape} when `data` has not the size that type and shape ask for.
    void add_tensor(std::string name, std::vector<std::uint64_t> ne, quant::TypeId type,
                    std::span<const std::byte> data);
    /// The same with data that are made as they are written: put(out) gives all their bytes.
    void add_tensor(std::string name, std::vector<std::uint64_t> ne, quant::TypeId type,
                    std::function<void(const Out&)> put);

    /// The complete file, in pieces. Throws Error{Internal} when a tensor's put() gave another size.
    void write(const Out& out) const;
    std::uint64_t size_bytes() const;
    std::vector<std::byte> bytes() const;

  private:
    struct Entry {
        std::string name;
        std::vector<std::uint64_t> ne;
        quant::TypeId type;
        std::uint64_t size_bytes;
        std::function<void(const Out&)> put;
    };
    /// Everything before the tensors' data.
    std::vector<std::byte> header() const;

    std::vector<std::pair<std::string, Value>> pairs_;
    std::vector<Entry> tensors_;
};

}  // namespace assay::gguf
