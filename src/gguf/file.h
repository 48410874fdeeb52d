// A GGUF model or matrix on disk, all shards together. Reads the header, maps the data, decodes nothing.
// Layout: gguf specification, versions 2 and 3 (ggml/docs/gguf.md).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "gguf/metadata.h"
#include "quant/type_table.h"

namespace assay::gguf {

/// Dimensions in the file's order, fastest first: ne[0] is the row length; missing ones are 1. None is 0.
struct Tensor {
    std::string name;
    std::uint32_t n_dims = 0;
    std::array<std::uint64_t, 4> ne{1, 1, 1, 1};
    const quant::TypeInfo* type = nullptr;
    std::uint32_t shard = 0;
    std::uint64_t offset_bytes = 0;  ///< from the start of the shard's file
    std::uint64_t size_bytes = 0;

    std::uint64_t rows() const noexcept { return ne[1] * ne[2] * ne[3]; }
    std::uint64_t elements() const noexcept { return ne[0] * rows(); }
    std::uint64_t row_bytes() const noexcept { return size_bytes / rows(); }
    std::string shape_text() const;
};

/// What one file's header says; `data` offsets already absolute and checked against `size`.
struct Header {
    std::uint32_t version = 0;
    Metadata metadata;
    std::vector<Tensor> tensors;
};

/// Parses and checks the header of one file of these bytes. Throws Error{BadFile | Unsupported}. `where`
/// names it.
Header parse_header(std::span<const std::byte> bytes, const std::string& where);

/// True when these bytes begin like a GGUF file.
bool has_magic(std::span<const std::byte> bytes) noexcept;

/// Owns the mappings. Tensor data is valid as long as the File.
class File {
  public:
    /// Opens `path` and, when it is the first of a split model (-00001-of-000NN), its siblings. The metadata
    /// are the file's with the overrides applied.
    static File open(const std::filesystem::path& path, const Overrides& overrides = {});

    /// Takes over the wanted tensors of another file, whose parts become parts of this one, and metadata in
    /// place of its own. Throws Error{BadFile} for a tensor that is there already.
    void adopt(File other, const std::function<bool(const Tensor&)>& wanted, const Overrides& metadata);

    const std::string& where() const noexcept { return metadata_.where(); }
    std::uint32_t version() const noexcept { return version_; }
    const Metadata& metadata() const noexcept { return metadata_; }
    /// In the order of the files.
    const std::vector<Tensor>& tensors() const noexcept { return tensors_; }
    const Tensor* find(std::string_view name) const;
    /// Throws Error{BadFile} when there is no such tensor.
    const Tensor& get(std::string_view name) const;
    std::span<const std::byte> data(const Tensor& tensor) const;
    const MappedFile& shard(std::size_t index) const { return shards_[index]; }
    std::size_t n_shards() const noexcept { return shards_.size(); }
    std::uint64_t size_bytes() const noexcept;

  private:
    void add_shard(const std::filesystem::path& path);
    void open_siblings(const std::filesystem::path& first, std::int64_t count);

    std::uint32_t version_ = 0;
    Metadata metadata_;
    std::vector<Tensor> tensors_;
    std::map<std::string, std::size_t, std::less<>> index_;
    std::vector<MappedFile> shards_;
};

}  // namespace assay::gguf
