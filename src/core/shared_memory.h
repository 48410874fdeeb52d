// Memory that processes of one machine share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/descriptor.h"

namespace assay {

/// Has no name in any file system, so that nothing is left when the last process that maps it has ended,
/// however that was, and the size of /dev/shm does not bound it.
class SharedMemory {
  public:
    /// Zeroed; a page is taken when it is touched first. Throws Error{Io}.
    explicit SharedMemory(std::uint64_t size_bytes);
    /// What another process of this user has made, and still has. Throws Error{Io} where there is no such
    /// memory.
    SharedMemory(std::int64_t process, std::int64_t descriptor);
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
    /// This process's number for it.
    int descriptor() const noexcept { return descriptor_.get(); }

  private:
    void map();

    Descriptor descriptor_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace assay
