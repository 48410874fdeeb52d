// Files: mapped for reading, written beside and renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

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

    /// Asks the kernel to read this range ahead, or to forget it, or to read no more than what is touched.
    /// Hints: failures are ignored.
    void will_need(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;
    void expect_scattered_reads() const noexcept;
    void drop(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;

  private:
    std::filesystem::path path_;
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Whole pages of memory, given back to the system when freed.
class PageMemory {
  public:
    /// Zeroed. Throws Error{Io} when there is none left.
    explicit PageMemory(std::size_t size_bytes);
    ~PageMemory();
    PageMemory(const PageMemory&) = delete;
    PageMemory& operator=(const PageMemory&) = delete;

    std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

  private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// A file read past the page cache, in large pieces straight into the caller's memory: for content that is
/// larger than memory and read once. File systems that cannot do this get ordinary reads, whose pages are let
/// go afterwards. A process may have fewer descriptors than there are files of a model: once half of them are
/// taken, a file is opened for each read. Safe to use from several threads.
class DirectFile {
  public:
    /// Reads begin and end at multiples of this, and so does their memory.
    static constexpr std::size_t kAlignment = 4096;

    /// Throws Error{Io}.
    explicit DirectFile(const std::filesystem::path& path);
    ~DirectFile();
    DirectFile(DirectFile&& other) noexcept;
    DirectFile& operator=(DirectFile&& other) = delete;

    /// Fills `to` from `offset_bytes` on; both, and to's address, aligned. The file's end may lie in the last
    /// kAlignment bytes of the range. Throws Error{Io}, also when the file has become shorter, or is another
    /// one by now.
    void read(std::size_t offset_bytes, std::span<std::byte> to) const;

    /// Whether reads really pass the page cache.
    bool direct() const noexcept { return direct_; }

  private:
    void read_from(int fd, std::size_t offset_bytes, std::span<std::byte> to) const;

    std::filesystem::path path_;
    std::pair<dev_t, ino_t> identity_;
    int fd_ = -1;  ///< -1: opened for each read
    bool direct_ = false;
};

/// The whole content of a file. Throws Error{Io}.
std::string read_file(const std::filesystem::path& path);

/// What a file will hold, made as it is written: it need not fit memory beside what it is made of.
struct FileContent {
    using Out = std::function<void(std::span<const std::byte>)>;

    FileContent(std::uint64_t bytes, std::function<void(const Out&)> out)
        : size_bytes(bytes), write(std::move(out)) {}

    std::uint64_t size_bytes;
    std::function<void(const Out&)> write;  ///< gives all bytes, in pieces; may be called again
};

/// Replaces `path` by `content` so that at every moment either the old or the new file is there whole: writes
/// a temporary file beside it, flushes it to disk, renames. Behind a symbolic link it is the file linked to
/// that is replaced. A device or a pipe is written to, and stays. Throws Error{Io} and leaves nothing behind.
void write_file_atomically(const std::filesystem::path& path, const FileContent& content);
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Throws Error{Io} now if write_file_atomically(path) could not work later: folder missing or not writable,
/// the file write-protected, a directory or a disk; and Error{Usage} where it would replace one of `kept`,
/// by whatever spelling. Leaves the file as it is.
void check_writable(const std::filesystem::path& path, const std::vector<std::filesystem::path>& kept = {});

}  // namespace assay
