// Results on disk: whole or not at all, and never in place of what is still needed.
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/descriptor.h"
#include "core/file.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

void write_all(int fd, std::span<const std::byte> bytes, const fs::path& path) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno(path, "cannot write");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// Where bytes for `path` go in the end, behind its symbolic links.
fs::path behind_links(fs::path path) {
    constexpr int kMostLinks = 40;  // as the kernel has it
    std::error_code failure;
    for (int i = 0; i < kMostLinks && fs::is_symlink(path, failure); ++i)
        path = folder_of(path) / fs::read_symlink(path, failure);
    return path;
}

bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code failure;
    if (fs::equivalent(a, b, failure)) return true;
    const fs::path whole = fs::weakly_canonical(a, failure);
    return !whole.empty() && whole == fs::weakly_canonical(behind_links(b), failure);
}

/// A new file in the folder of another, removed at the end of its scope unless it was renamed.
class Temporary {
  public:
    /// Throws Error{Io} about `beside`. The name is short whatever the other's is.
    explicit Temporary(const fs::path& beside) : file_(create(folder_of(beside), name_)) {
        if (file_.get() < 0) throw_errno(beside, "cannot create a file in its folder");
    }
    ~Temporary() {
        if (!name_.empty()) ::unlink(name_.c_str());
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;
    int fd() const noexcept { return file_.get(); }

    void rename_to(const fs::path& target, const fs::path& told) {
        if (::close(file_.release()) != 0) throw_errno(told, "cannot close");
        if (::rename(name_.c_str(), target.c_str()) != 0) throw_errno(told, "cannot rename into place");
        name_.clear();
    }

  private:
    /// Not mkstemp: that is for secrets, while a result has the permissions that the user's umask leaves.
    static int create(const fs::path& folder, fs::path& name) {
        for (int attempt = 0;; ++attempt) {
            name = folder / fmt::format("assay-tmp-{}-{}", ::getpid(), attempt);
            const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
            if (fd >= 0 || errno != EEXIST) return fd;
        }
    }

    fs::path name_;
    Descriptor file_;
};

}  // namespace

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
    struct stat old {};
    const bool replaces = ::stat(path.c_str(), &old) == 0;
    if (replaces && !S_ISREG(old.st_mode)) {
        const Descriptor stream(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (stream.get() < 0) throw_errno(path, "cannot open for writing");
        return write_all(stream.get(), bytes, path);
    }
    const fs::path target = behind_links(path);
    Temporary temporary(target);
    write_all(temporary.fd(), bytes, path);
    if (replaces) ::fchmod(temporary.fd(), old.st_mode & 07777);  // where the file system has permissions
    // Some file systems have nothing to flush and say so.
    if (::fsync(temporary.fd()) != 0 && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        throw_errno(path, "cannot flush to disk");
    temporary.rename_to(target, path);
    // The rename itself survives a power cut only once the folder is flushed; not every file system allows
    // it.
    const Descriptor folder(::open(folder_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() >= 0) ::fsync(folder.get());
}

void check_writable(const fs::path& path, const std::vector<fs::path>& kept) {
    if (path.empty()) throw Error(ErrorKind::Usage, "output", "needs the name of a file, found ''");
    struct stat old {};
    const bool replaces = ::stat(path.c_str(), &old) == 0;
    if (!replaces && errno != ENOENT) throw_errno(path, "cannot be written");
    if (replaces && S_ISDIR(old.st_mode))
        throw_error(ErrorKind::Io, path.string(), "is a folder, expected a file name to write to");
    if (replaces && S_ISBLK(old.st_mode))
        throw_error(ErrorKind::Io, path.string(), "is a disk, expected a file name to write to");
    if (replaces && ::access(path.c_str(), W_OK) != 0) throw_errno(path, "cannot be written");
    if (replaces && !S_ISREG(old.st_mode)) return;
    const fs::path target = behind_links(path);
    for (const fs::path& other : kept)
        if (same_file(target, other))
            throw_error(ErrorKind::Usage, path.string(),
                        "the result would replace {}, which this command uses as well", other.string());
    const Temporary trial(target);
}

}  // namespace assay
