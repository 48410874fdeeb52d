#include "core/shared_memory.h"

#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>

namespace assay {

namespace {

constexpr const char* kName = "assay";

/// Where the system shows a process's descriptor.
std::string place(std::int64_t process, std::int64_t descriptor) {
    return fmt::format("/proc/{}/fd/{}", process, descriptor);
}

int open_shared(std::int64_t process, std::int64_t descriptor) {
    const std::string path = place(process, descriptor);
    std::error_code failure;
    const auto target = std::filesystem::read_symlink(path, failure).string();
    // Among containers a number may stand for another process.
    if (failure || !target.starts_with(fmt::format("/memfd:{}", kName)))
        throw_error(ErrorKind::Io, path, "is not there, or is no memory to share");
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) throw_errno(path, "cannot open");
    return fd;
}

}  // namespace

SharedMemory::SharedMemory(std::uint64_t size_bytes)
    : descriptor_(::memfd_create(kName, MFD_CLOEXEC)), size_(size_bytes) {
    if (descriptor_.get() < 0) throw_errno("shared memory", "cannot make any");
    if (::ftruncate(descriptor_.get(), static_cast<off_t>(size_bytes)) != 0)
        throw_errno("shared memory", fmt::format("cannot get {} bytes", size_bytes));
    map();
}

SharedMemory::SharedMemory(std::int64_t process, std::int64_t descriptor)
    : descriptor_(open_shared(process, descriptor)) {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0) throw_errno(place(process, descriptor), "cannot look at");
    size_ = static_cast<std::size_t>(status.st_size);
    map();
}

void SharedMemory::map() {
    void* pages = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (pages == MAP_FAILED) throw_errno("shared memory", fmt::format("cannot map {} bytes", size_));
    data_ = static_cast<std::byte*>(pages);
    ::madvise(data_, size_, MADV_HUGEPAGE);  // fewer faults; a hint
}

SharedMemory::~SharedMemory() { ::munmap(data_, size_); }

}  // namespace assay
