// Writing GGUF version 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gguf/metadata.h"
#include "quant/type_table.h"

namespace assay::gguf {

/// Collects keys and tensors in order, then gives the file's bytes. Alignment is 32.
class Writer {
  public:
    void add(std::string key, Value value) { pairs_.emplace_back(std::move(key), std::move(value)); }

    /// `ne` in the file's order, fastest first; trailing ones are not stored. `data` is borrowed until
    /// bytes(). Throws Error{Shape} when `data` has not the size that type and shape ask for.
    void add_tensor(std::string name, std::vector<std::uint64_t> ne, quant::TypeId type,
                    std::span<const std::byte> data);

    /// The complete file.
    std::vector<std::byte> bytes() const;

  private:
    struct Entry {
        std::string name;
        std::vector<std::uint64_t> ne;
        quant::TypeId type;
        std::span<const std::byte> data;
    };
    std::vector<std::pair<std::string, Value>> pairs_;
    std::vector<Entry> tensors_;
};

}  // namespace assay::gguf
