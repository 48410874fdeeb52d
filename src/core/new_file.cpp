#include "core/new_file.h"

#include <algorithm>
#include <cctype>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fingerprint.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

/// Short whatever the target's name is. What has the same target has the same name, by whatever spelling.
fs::path name_beside(const fs::path& target, std::string_view kind) {
    const std::string name = target.filename().string();
    return folder_of(target) /
           fmt::format("assay-{}-{}", kind, fingerprint_text(fingerprint_of(std::as_bytes(std::span(name)))));
}

/// " (process N)" where the file says so.
std::string owner_of(int fd) {
    char text[16];
    const ssize_t n = ::pread(fd, text, sizeof text, 0);
    const std::string digits(text, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    const bool number =
        !digits.empty() && std::ranges::all_of(digits, [](unsigned char c) { return std::isdigit(c); });
    return number ? fmt::format(" (process {})", digits) : std::string();
}

/// Whether the name still means the open file.
bool same_file(int fd, const fs::path& name) {
    struct stat open {
    }, named{};
    return ::fstat(fd, &open) == 0 && ::stat(name.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

/// False where the disk refuses it; not every file system knows how.
bool flush_folder(const fs::path& path) {
    const Descriptor folder(
        uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    return folder.get() < 0 || uninterrupted([&] { return ::fsync(folder.get()); }) == 0 || errno != EIO;
}

int open_locked(const fs::path& name, const fs::path& target) {
    while (true) {
        // Not mkstemp: that is for secrets, while a result has the permissions that the user's umask leaves.
        Descriptor file(uninterrupted(
            [&] { return ::open(name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666); }));
        if (file.get() < 0) throw_errno(target, "cannot create a file in its folder");
        const bool locked = ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
        if (!locked && errno == EWOULDBLOCK)
            throw_error(ErrorKind::Io, target.string(),
                        "another run{} is writing to it; wait for its end or choose another name",
                        owner_of(file.get()));
        // Between the two calls who had it may have given it another name, or removed it.
        if (same_file(file.get(), name)) return file.release();
    }
}

}  // namespace

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path behind_links(fs::path path) {
    constexpr int kMostLinks = 40;  // as the kernel has it
    std::error_code failure;
    for (int i = 0; i < kMostLinks && fs::is_symlink(path, failure); ++i)
        path = folder_of(path) / fs::read_symlink(path, failure);
    return path;
}

void make_folder(const fs::path& path) {
    std::error_code failure;
    if (fs::is_directory(path, failure)) return;
    if (const fs::path above = folder_of(path.has_filename() ? path : path.parent_path()); above != path)
        make_folder(above);
    if (uninterrupted([&] { return ::mkdir(path.c_str(), 0777); }) != 0 && errno != EEXIST)
        throw_errno(path, "cannot make a folder");
    if (!fs::is_directory(path, failure))
        throw_error(ErrorKind::Io, path.string(), "cannot be a folder: it is a file");
    if (!flush_folder(folder_of(path)))
        throw_errno(path, "is made, but the folder above it cannot be flushed to disk");
}

LockedFile::LockedFile(const fs::path& target, std::string_view kind)
    : name_(name_beside(target, kind)), file_(open_locked(name_, target)) {
    if (uninterrupted([&] { return ::ftruncate(file_.get(), 0); }) != 0)
        throw_errno(target, "cannot empty a file in its folder");
}

LockedFile::~LockedFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
}

NewFile::NewFile(const fs::path& path, std::uint64_t size_bytes)
    : path_(path), target_(behind_links(path)), size_bytes_(size_bytes), temporary_(target_, "tmp") {
    struct stat old {};
    if (::stat(target_.c_str(), &old) == 0) old_mode_ = old.st_mode & 07777;
}

void NewFile::fail(std::string_view doing) const {
    const char* reason = std::strerror(errno);
    throw_error(ErrorKind::Io, path_.string(), "{}: {}; {} of {} bytes are missing{}", doing, reason,
                size_bytes_ - std::min(size_bytes_, written_bytes_), size_bytes_,
                old_mode_ ? ", and the file is as it was" : "");
}

void NewFile::write(std::span<const std::byte> bytes) {
    constexpr std::size_t kGatheredBytes = std::size_t{1} << 20;
    if (gathered_.size() + bytes.size() > kGatheredBytes) {
        write_out(gathered_);
        gathered_.clear();
    }
    if (bytes.size() > kGatheredBytes) return write_out(bytes);
    gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
}

void NewFile::write_out(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = uninterrupted([&] { return ::write(temporary_.fd(), bytes.data(), bytes.size()); });
        if (n < 0) fail("cannot write");
        written_bytes_ += static_cast<std::uint64_t>(n);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

void NewFile::commit() {
    write_out(gathered_);
    const int fd = temporary_.fd();
    if (old_mode_) ::fchmod(fd, *old_mode_);  // where the file system has permissions
    // Some file systems have nothing to flush and say so.
    if (uninterrupted([&] { return ::fsync(fd); }) != 0 && errno != EINVAL && errno != ENOSYS &&
        errno != EOPNOTSUPP) {
        written_bytes_ = 0;
        fail("cannot flush to disk");
    }
    // Closed later: the lock must not go before the name.
    if (uninterrupted([&] { return ::rename(temporary_.name().c_str(), target_.c_str()); }) != 0)
        fail("cannot rename into place");
    temporary_.moved();
    // The rename itself survives a power cut only once the folder is flushed.
    if (!flush_folder(folder_of(target_)))
        throw_errno(path_, "is written, but its folder cannot be flushed to disk");
}

TargetLock::TargetLock(const fs::path& target) {
    const fs::path place = behind_links(target);
    struct stat old {};
    if (::stat(place.c_str(), &old) == 0 && !S_ISREG(old.st_mode)) return;
    file_.emplace(place, "lock");
    const std::string owner = std::to_string(::getpid());
    [[maybe_unused]] const ssize_t told = ::write(file_->fd(), owner.data(), owner.size());
}

}  // namespace assay
