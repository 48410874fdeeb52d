// Files: mapped for reading, written beside and renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace assay {

/// A whole file mapped read-only. Move-only; the bytes live as long as the object.
class MappedFile {
  public:
    /// Throws Error{Io} when the file is missing, unreadable or a directory. An empty file maps to no bytes.
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    const std::filesystem::path& path() const noexcept { return path_; }

    /// Asks the kernel to read this range ahead, or to forget it. Hints: failures are ignored.
    void will_need(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;
    void drop(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;

  private:
    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// The whole content of a file. Throws Error{Io}.
std::string read_file(const std::filesystem::path& path);

/// Replaces `path` by `bytes` so that at every moment either the old or the new file is there whole: writes
/// a temporary file beside it, flushes it to disk, renames. Throws Error{Io} and leaves nothing behind.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Throws Error{Io} now if write_file_atomically(path) could not work later: folder missing or not writable,
/// or `path` a directory. Leaves the file as it is.
void check_writable(const std::filesystem::path& path);

}  // namespace assay
