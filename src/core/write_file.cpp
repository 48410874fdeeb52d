// Results on disk: whole or not at all, and never in place of what is still needed.
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/descriptor.h"
#include "core/file.h"
#include "core/new_file.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

void write_all(int fd, std::span<const std::byte> bytes, const fs::path& path) {
    while (!bytes.empty()) {
        const ssize_t n = uninterrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
        if (n < 0) throw_errno(path, "cannot write");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

bool same_file(const fs::path& a, const fs::path& b) {
    std::error_code failure;
    if (fs::equivalent(a, b, failure)) return true;
    const fs::path whole = fs::weakly_canonical(a, failure);
    return !whole.empty() && whole == fs::weakly_canonical(behind_links(b), failure);
}

}  // namespace

void write_file_atomically(const fs::path& path, const FileContent& content) {
    struct stat old {};
    if (::stat(path.c_str(), &old) == 0 && !S_ISREG(old.st_mode)) {
        const Descriptor stream(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (stream.get() < 0) throw_errno(path, "cannot open for writing");
        return content.write([&](std::span<const std::byte> bytes) { write_all(stream.get(), bytes, path); });
    }
    NewFile file(path, content.size_bytes);
    content.write([&](std::span<const std::byte> bytes) { file.write(bytes); });
    file.commit();
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes) {
    write_file_atomically(path,
                          FileContent{bytes.size(), [bytes](const FileContent::Out& out) { out(bytes); }});
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
    const LockedFile trial(target, "tmp");
}

}  // namespace assay
