// Memory on disk: a file without a name, mapped, for what is too large to stay in memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace assay {

/// Its space is taken at once, so that a full disk is an error here and not a signal later. The file is gone
/// with the object, or with the process. Not movable: the mapping is handed out.
class ScratchFile {
  public:
    /// Throws Error{Io}: the folder is missing or not writable, the disk full.
    ScratchFile(const std::filesystem::path& folder, std::size_t size_bytes);
    ~ScratchFile();
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    std::span<std::byte> bytes() const noexcept { return {data_, size_}; }

    /// Asks the kernel to bring this range into memory, or to begin writing it to disk. Hints: failures are
    /// ignored.
    void will_need(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;
    void write_back(std::size_t offset_bytes, std::size_t size_bytes) const noexcept;

  private:
    int fd_ = -1;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace assay
