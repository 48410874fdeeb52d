// The numbers an architecture reads from metadata: keys with the architecture's prefix, defaults of the
// format, and the checks that keep a lying header from becoming a wrong shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "gguf/file.h"

namespace assay::model {

/// Keys and defaults: llama.cpp's loader as of 2026-08. All getters throw Error{BadFile} for a value of the
/// wrong kind or out of range, naming the key.
class Hyperparameters {
  public:
    /// Keys begin with the architecture as the file spells it; `architecture` is the name it is known by
    /// here.
    Hyperparameters(const gguf::Metadata& metadata, std::string architecture);

    const std::string& architecture() const noexcept { return architecture_; }
    const gguf::Metadata& metadata() const noexcept { return metadata_; }

    std::int64_t n_layers() const noexcept { return n_layers_; }  ///< without multi-token-prediction blocks
    std::int64_t n_blocks() const noexcept { return n_blocks_; }  ///< with them
    std::int64_t hidden() const noexcept { return hidden_; }
    std::int64_t context_length() const noexcept { return context_length_; }

    /// "attention.head_count" -> "<architecture>.attention.head_count". Counts as reading it.
    std::string key(std::string_view name) const;
    /// Whether any getter, or key(), was asked for it.
    bool was_read(std::string_view name) const { return read_.contains(name); }
    /// The value without reading it; null when it is absent.
    const gguf::Value* peek(std::string_view name) const;
    std::optional<std::int64_t> integer(std::string_view name) const;
    std::optional<double> real(std::string_view name) const;
    /// A required positive number.
    std::int64_t required(std::string_view name) const;
    bool flag(std::string_view name, bool otherwise) const;
    /// A real that must be finite.
    float number(std::string_view name, double otherwise) const;
    /// A real for all layers, or an array with an entry per layer.
    float number_of_layer(std::string_view name, std::int64_t layer, double otherwise) const;
    /// A required epsilon: finite and not negative.
    float epsilon(std::string_view name) const;
    /// A scalar for all layers, or an array with an entry per layer.
    std::int64_t per_layer(std::string_view name, std::int64_t layer, std::int64_t otherwise) const;

    // Checked: positive, heads a multiple of key heads.
    std::int64_t n_heads(std::int64_t layer) const;
    std::int64_t n_kv_heads(std::int64_t layer) const;
    std::int64_t head_dim(std::int64_t layer) const;
    std::int64_t value_dim(std::int64_t layer) const;
    std::int64_t ffn(std::int64_t layer) const;

  private:
    std::int64_t positive(std::string_view name, std::int64_t value) const;
    /// Element of an array of `size` entries that belongs to `layer`. The array has an entry for each layer,
    /// or for each block.
    std::size_t index_of_layer(std::string_view name, std::size_t size, std::int64_t layer) const;

    const gguf::Metadata& metadata_;
    std::string architecture_;
    std::string prefix_;  ///< general.architecture and a dot
    mutable std::set<std::string, std::less<>> read_;
    std::int64_t n_layers_ = 0;
    std::int64_t n_blocks_ = 0;
    std::int64_t hidden_ = 0;
    std::int64_t context_length_ = 0;
};

}  // namespace assay::model
