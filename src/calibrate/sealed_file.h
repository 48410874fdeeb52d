// A GGUF file with a checksum behind it: states of runs, which must not be taken for good when they are
// damaged.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "core/file.h"
#include "core/new_file.h"
#include "gguf/file.h"
#include "gguf/writer.h"

namespace assay::calibrate {

/// What is to take the place of `path`, the checksum added: all is written, and commit() remains. Throws
/// Error{Io}.
std::unique_ptr<NewFile> begin_sealed(const std::filesystem::path& path, const gguf::Writer& content);

/// One that was read. The mapping stays, also when the file is replaced.
class SealedFile {
  public:
    /// Throws Error{Io}, and Error{BadFile} where the bytes are not those that were written.
    explicit SealedFile(const std::filesystem::path& path);

    const std::filesystem::path& path() const noexcept { return file_.path(); }
    std::uint64_t size_bytes() const noexcept { return file_.bytes().size(); }
    const gguf::Metadata& metadata() const noexcept { return header_.metadata; }
    /// Null when there is none of this name.
    const gguf::Tensor* find(std::string_view name) const;
    std::span<const std::byte> data(const gguf::Tensor& tensor) const {
        return file_.bytes().subspan(tensor.offset_bytes, tensor.size_bytes);
    }

  private:
    MappedFile file_;
    gguf::Header header_;
    std::map<std::string_view, const gguf::Tensor*> tensors_;
};

}  // namespace assay::calibrate
