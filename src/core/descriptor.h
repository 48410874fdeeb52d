// File descriptors of the core room: closed at the end of a scope, and the sentence for a failed call.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unistd.h>
#include <utility>

#include "core/error.h"

namespace assay {

/// Throws Error{Io} about `path` with what errno says.
[[noreturn]] inline void throw_errno(const std::filesystem::path& path, std::string_view doing) {
    throw_error(ErrorKind::Io, path.string(), "{}: {}", doing, std::strerror(errno));
}

/// What call() returns, called again as long as a signal interrupts it: network file systems give EINTR where
/// others do not.
template <typename Call> auto uninterrupted(Call call) {
    while (true) {
        const auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

/// An open descriptor, closed at the end of its scope.
class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

}  // namespace assay
