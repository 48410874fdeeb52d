#include "core/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "core/descriptor.h"
#include "core/error.h"
#include "core/mapped_files.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

Descriptor open_regular(const fs::path& path, struct stat& info) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw_errno(path, "cannot open");
    Descriptor file(fd);
    if (::fstat(fd, &info) != 0) throw_errno(path, "cannot read its size");
    if (S_ISDIR(info.st_mode)) throw_error(ErrorKind::Io, path.string(), "is a folder, expected a file");
    return Descriptor(file.release());
}

/// Past the page cache where `direct` says so afterwards.
Descriptor open_direct(const fs::path& path, bool& direct) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
    direct = fd >= 0;
    if (!direct && errno == EINVAL) fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw_errno(path, "cannot open");
    return Descriptor(fd);
}

std::uint64_t size_of(int fd, const fs::path& path) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) throw_errno(path, "cannot read its size");
    return static_cast<std::uint64_t>(info.st_size);
}

std::pair<dev_t, ino_t> identity_of(int fd, const fs::path& path) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) throw_errno(path, "cannot read its size");
    return {info.st_dev, info.st_ino};
}

/// How many descriptors this process may have.
rlim_t descriptor_limit() {
    struct rlimit limit {};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

/// Pages are dropped or fetched whole; madvise wants an aligned start.
void advise(const std::byte* data, std::size_t size, std::size_t offset, std::size_t length, int advice) {
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    if (data == nullptr || offset >= size) return;
    const std::size_t start = offset / page * page;
    const std::size_t end = offset + std::min(length, size - offset);
    ::madvise(const_cast<std::byte*>(data) + start, end - start, advice);
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
    struct stat info {};
    const Descriptor file = open_regular(path, info);
    if (S_ISFIFO(info.st_mode))
        throw_error(ErrorKind::Io, path.string(),
                    "is a pipe, expected a file on disk: it is not read in order");
    size_ = static_cast<std::size_t>(info.st_size);
    if (size_ == 0) return;
    void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapping == MAP_FAILED) throw_errno(path, "cannot map");
    data_ = static_cast<const std::byte*>(mapping);
    list_mapping(bytes(), path);
}

MappedFile::~MappedFile() {
    unlist_mapping(data_);
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

void MappedFile::will_need(std::size_t offset_bytes, std::size_t size_bytes) const noexcept {
    advise(data_, size_, offset_bytes, size_bytes, MADV_WILLNEED);
}

void MappedFile::expect_scattered_reads() const noexcept { advise(data_, size_, 0, size_, MADV_RANDOM); }

void MappedFile::drop(std::size_t offset_bytes, std::size_t size_bytes) const noexcept {
    advise(data_, size_, offset_bytes, size_bytes, MADV_DONTNEED);
}

PageMemory::PageMemory(std::size_t size_bytes) : size_(size_bytes) {
    if (size_bytes == 0) return;
    void* pages = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        throw_error(ErrorKind::Io, "memory", "cannot get {} bytes: {}", size_bytes, std::strerror(errno));
    data_ = static_cast<std::byte*>(pages);
    ::madvise(data_, size_, MADV_HUGEPAGE);  // fewer faults; a hint
}

PageMemory::~PageMemory() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

DirectFile::DirectFile(const fs::path& path) : path_(path) {
    Descriptor file = open_direct(path, direct_);
    identity_ = identity_of(file.get(), path);
    if (static_cast<rlim_t>(file.get()) < descriptor_limit() / 2) fd_ = file.release();
}

DirectFile::~DirectFile() {
    if (fd_ >= 0) ::close(fd_);
}

DirectFile::DirectFile(DirectFile&& other) noexcept
    : path_(std::move(other.path_)),
      identity_(other.identity_),
      fd_(std::exchange(other.fd_, -1)),
      direct_(other.direct_) {}

void DirectFile::read(std::size_t offset_bytes, std::span<std::byte> to) const {
    if (fd_ >= 0) return read_from(fd_, offset_bytes, to);
    bool direct = direct_;
    const Descriptor file = open_direct(path_, direct);
    if (identity_of(file.get(), path_) != identity_)
        throw_error(ErrorKind::Io, path_.string(), "has been replaced since it was opened");
    read_from(file.get(), offset_bytes, to);
}

void DirectFile::read_from(int fd, std::size_t offset_bytes, std::span<std::byte> to) const {
    constexpr std::size_t kPieceBytes = std::size_t{8} << 20;  // larger requests are no faster
    const std::uint64_t size = size_of(fd, path_);
    std::size_t done = 0, cut_at = SIZE_MAX;
    while (done < to.size()) {
        const std::size_t piece = std::min(kPieceBytes, to.size() - done);
        const ssize_t n = uninterrupted(
            [&] { return ::pread(fd, to.data() + done, piece, static_cast<off_t>(offset_bytes + done)); });
        if (n < 0) throw_errno(path_, "cannot read");
        done += static_cast<std::size_t>(n);
        if (n == 0 || offset_bytes + done >= size) break;
        // A direct read that a bad sector cuts short cannot go on from there: the sector is asked for again,
        // alone.
        if (direct_ && done % kAlignment != 0) {
            done -= done % kAlignment;
            if (std::exchange(cut_at, done) == done) break;
        }
    }
    if (done < to.size() && offset_bytes + done < size)
        throw_error(ErrorKind::Io, path_.string(), "cannot be read beyond byte {}", offset_bytes + done);
    if (to.size() - done >= kAlignment)
        throw_error(ErrorKind::Io, path_.string(), "ends at byte {}, but had more when it was opened",
                    offset_bytes + done);
    if (!direct_)
        ::posix_fadvise(fd, static_cast<off_t>(offset_bytes), static_cast<off_t>(to.size()),
                        POSIX_FADV_DONTNEED);
}

std::string read_file(const fs::path& path) {
    struct stat info {};
    const Descriptor file = open_regular(path, info);
    std::string content;
    content.reserve(static_cast<std::size_t>(info.st_size));
    char buffer[1 << 16];
    while (true) {  // not by size: pipes and /proc files have none
        const ssize_t n = uninterrupted([&] { return ::read(file.get(), buffer, sizeof buffer); });
        if (n < 0) throw_errno(path, "cannot read");
        if (n == 0) return content;
        content.append(buffer, static_cast<std::size_t>(n));
    }
}

}  // namespace assay
