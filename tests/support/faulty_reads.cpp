#include "support/faulty_reads.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr std::int64_t kNone = INT64_MAX;
constexpr std::size_t kBlock = 4096, kSector = 512;

std::atomic<assay::test::Fault> kind;
std::atomic<std::int64_t> faulty = kNone;
std::atomic<std::int64_t> count = 0;

/// How much of `size` is read; nothing: an error, in errno.
std::optional<std::size_t> allowed(std::size_t size) {
    using assay::test::Fault;
    const std::int64_t number = count++;
    const std::int64_t behind = number - faulty;
    if (behind < 0) return size;
    switch (kind) {
        case Fault::Short: return size > kBlock ? kBlock : size;
        case Fault::Cut: return behind == 0 && size > kSector ? size - kSector : size;
        case Fault::Interrupted:
            if (behind > 2) return size;
            errno = EINTR;
            return std::nullopt;
        case Fault::Broken:
            if (behind > 0) return size;
            errno = EIO;
            return std::nullopt;
    }
    return size;
}

}  // namespace

extern "C" ssize_t read(int fd, void* to, std::size_t size) {
    const auto part = allowed(size);
    return part ? ::syscall(SYS_read, fd, to, *part) : -1;
}

// A direct read asks for whole blocks, also where it comes short.
extern "C" ssize_t pread(int fd, void* to, std::size_t size, off_t offset) {
    const auto part = allowed(size);
    if (!part) return -1;
    const ssize_t n = ::syscall(SYS_pread64, fd, to, *part % kBlock == 0 ? *part : size, offset);
    if (n <= static_cast<ssize_t>(*part)) return n;
    std::memset(static_cast<char*>(to) + *part, 0xA5, static_cast<std::size_t>(n) - *part);
    return static_cast<ssize_t>(*part);
}

namespace assay::test {

FaultyRead::FaultyRead(Fault fault, std::int64_t number) noexcept {
    kind = fault;
    count = 0;
    faulty = number;
}
FaultyRead::~FaultyRead() { faulty = kNone; }
bool FaultyRead::happened() const noexcept { return count > faulty; }

}  // namespace assay::test
