#include "core/scratch_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "core/mapped_files.h"

namespace assay {

namespace {

/// Some file systems have no files without a name: those get one that is removed at once.
int open_unnamed(const std::filesystem::path& folder) {
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd;
    std::string name = (folder / "assay-spill-XXXXXX").string();
    const int named = ::mkostemp(name.data(), O_CLOEXEC);
    if (named >= 0) ::unlink(name.c_str());
    return named;
}

}  // namespace

ScratchFile::ScratchFile(const std::filesystem::path& folder, std::size_t size_bytes) : size_(size_bytes) {
    const auto fail = [&](const char* doing, int code) {
        if (fd_ >= 0) ::close(fd_);
        throw_error(ErrorKind::Io, folder.string(), "{} of {} MiB: {}", doing, size_bytes >> 20,
                    std::strerror(code));
    };
    fd_ = open_unnamed(folder);
    if (fd_ < 0) fail("cannot create a scratch file", errno);
    if (size_bytes == 0) return;
    if (const int code = ::posix_fallocate(fd_, 0, static_cast<off_t>(size_bytes)); code != 0)
        fail("no room for a scratch file", code);
    void* mapping = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (mapping == MAP_FAILED) fail("cannot map a scratch file", errno);
    data_ = static_cast<std::byte*>(mapping);
    list_mapping(bytes(), folder);
}

ScratchFile::~ScratchFile() {
    unlist_mapping(data_);
    if (data_ != nullptr) ::munmap(data_, size_);
    ::close(fd_);
}

// For both calls a length of 0 means the rest of the file.
void ScratchFile::will_need(std::size_t offset_bytes, std::size_t size_bytes) const noexcept {
    if (size_bytes == 0) return;
    ::posix_fadvise(fd_, static_cast<off_t>(offset_bytes), static_cast<off_t>(size_bytes),
                    POSIX_FADV_WILLNEED);
}

void ScratchFile::write_back(std::size_t offset_bytes, std::size_t size_bytes) const noexcept {
    if (size_bytes == 0) return;
    ::sync_file_range(fd_, static_cast<off_t>(offset_bytes), static_cast<off_t>(size_bytes),
                      SYNC_FILE_RANGE_WRITE);
}

}  // namespace assay
