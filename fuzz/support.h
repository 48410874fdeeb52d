// What the examinations share.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/examine.h"

namespace assay::fuzz {

/// Ends the process: a promise is broken.
[[noreturn]] inline void broken(std::string_view promise) {
    std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(promise.size()), promise.data());
    std::abort();
}

inline void expect(bool holds, std::string_view promise) {
    if (!holds) broken(promise);
}

inline std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A file in memory that others can open by path. It ends with so many zeros that take no memory.
class MemoryFile {
  public:
    explicit MemoryFile(Bytes bytes, std::size_t zeros = 0) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        expect(fd_ >= 0 && ::write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
                   ::ftruncate(fd_, static_cast<off_t>(bytes.size() + zeros)) == 0,
               "the system gives a file in memory");
    }
    ~MemoryFile() { ::close(fd_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    /// The first bytes.
    void overwrite(Bytes bytes) {
        expect(::pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
               "memory is written");
    }
    std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  private:
    int fd_;
};

}  // namespace assay::fuzz
