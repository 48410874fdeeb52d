// A shim between a program and its system calls (LD_PRELOAD), for the tests: counts what the program does to
// files below one folder, and at the call that the environment names kills the process, fails, comes short,
// or forgets everything that was not flushed.
//   FAULT_FOLDER     only files below it count; a path without links
//   FAULT_LOG        a file where each call is written as "NUMBER NAME FILE"
//   FAULT_AT         number of the call, from 1
//   FAULT_DO         before, after: the process ends there; an errno's number: the call fails with it; short:
//                    write takes half of its bytes
//   FAULT_DURABLE    a folder: what is flushed goes there, so that a test can put the folder back as a power
//                    cut leaves it
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace {

template <typename Function> Function* real(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}
using Open = int(const char*, int, ...);
using Write = ssize_t(int, const void*, std::size_t);
using Flush = int(int);
using Rename = int(const char*, const char*);
using Unlink = int(const char*);
using Truncate = int(int, off_t);
using MakeFolder = int(const char*, mode_t);

const char* setting(const char* name) { return std::getenv(name); }

std::recursive_mutex mutex;
int n_calls = 0;
/// By inode, how often it has been a new file: numbers are used again.
std::map<ino_t, int> births;

/// The absolute path, its folder without links; empty when there is none.
std::string whole_path(const char* path) {
    const std::string text(path);
    const std::size_t slash = text.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : text.substr(0, slash);
    char found[PATH_MAX];
    if (::realpath(folder.c_str(), found) == nullptr) return {};
    return std::string(found) + '/' + text.substr(slash == std::string::npos ? 0 : slash + 1);
}

std::string path_of(int fd) {
    char found[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t n = ::readlink(link.c_str(), found, sizeof found);
    return n < 0 ? std::string() : std::string(found, static_cast<std::size_t>(n));
}

bool counts(const std::string& path) {
    const char* folder = setting("FAULT_FOLDER");
    return folder != nullptr && (path == folder || path.rfind(std::string(folder) + '/', 0) == 0);
}

/// What is to be done at this call; empty: nothing.
std::string fault(const char* name, const std::string& path) {
    ++n_calls;
    if (const char* log = setting("FAULT_LOG")) {
        const std::string line = std::to_string(n_calls) + ' ' + name + ' ' + path + '\n';
        const int fd = real<Open>("open")(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        [[maybe_unused]] const ssize_t written = real<Write>("write")(fd, line.data(), line.size());
        ::close(fd);
    }
    const char* at = setting("FAULT_AT");
    const char* what = setting("FAULT_DO");
    return at != nullptr && what != nullptr && std::atoi(at) == n_calls ? what : "";
}

/// Makes the call, with what is to happen around it.
template <typename Call> auto around(const char* name, const std::string& path, Call call) {
    const std::lock_guard lock(mutex);
    const std::string what = fault(name, path);
    if (what == "before") ::_exit(99);
    if (!what.empty() && std::strchr("0123456789", what.front()) != nullptr) {
        errno = std::atoi(what.c_str());
        return decltype(call(what))(-1);
    }
    const auto result = call(what);
    if (what == "after") ::_exit(99);
    return result;
}

std::string durable_name(const struct stat& info) {
    return std::to_string(info.st_ino) + '.' + std::to_string(births[info.st_ino]);
}

void copy(const std::string& from, const std::string& to) {
    const int in = real<Open>("open")(from.c_str(), O_RDONLY | O_CLOEXEC);
    const int out = real<Open>("open")(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char buffer[1 << 16];
    for (ssize_t n; (n = ::read(in, buffer, sizeof buffer)) > 0;)
        [[maybe_unused]] const ssize_t written =
            real<Write>("write")(out, buffer, static_cast<std::size_t>(n));
    ::close(in);
    ::close(out);
}

/// The file's content, or the folder's entries, are on the disk now.
void make_durable(int fd, const std::string& path) {
    const char* durable = setting("FAULT_DURABLE");
    struct stat info {};
    if (durable == nullptr || ::fstat(fd, &info) != 0) return;
    if (!S_ISDIR(info.st_mode)) return copy(path, std::string(durable) + '/' + durable_name(info));
    std::string list;
    DIR* folder = ::opendir(path.c_str());
    while (const dirent* entry = ::readdir(folder)) {
        struct stat found {};
        if (::lstat((path + '/' + entry->d_name).c_str(), &found) != 0) continue;
        if (S_ISREG(found.st_mode)) list += durable_name(found) + ' ' + entry->d_name + '\n';
        if (S_ISDIR(found.st_mode) && entry->d_name[0] != '.')
            list += std::string("folder ") + entry->d_name + '\n';
    }
    ::closedir(folder);
    std::string name = path;
    for (char& c : name)
        if (c == '/') c = '%';
    const std::string to = std::string(durable) + "/folder." + name;
    const int out = real<Open>("open")(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    [[maybe_unused]] const ssize_t written = real<Write>("write")(out, list.data(), list.size());
    ::close(out);
}

int open_file(const char* symbol, const char* path, int flags, mode_t mode) {
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    const std::string whole = whole_path(path);
    if (!counts(whole) || (!writes && (flags & O_DIRECTORY) == 0))
        return real<Open>(symbol)(path, flags, mode);
    return around("open", whole, [&](const std::string&) {
        struct stat before {};
        const bool is_new = ::stat(path, &before) != 0;
        const int fd = real<Open>(symbol)(path, flags, mode);
        if (fd >= 0 && is_new && ::fstat(fd, &before) == 0) ++births[before.st_ino];
        return fd;
    });
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return open_file("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return open_file("open64", path, flags, mode);
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
    const std::string path = fd > 2 ? path_of(fd) : std::string();
    if (!counts(path)) return real<Write>("write")(fd, bytes, size);
    return around("write", path, [&](const std::string& what) {
        return real<Write>("write")(fd, bytes, what == "short" ? (size + 1) / 2 : size);
    });
}

int fsync(int fd) {
    const std::string path = path_of(fd);
    if (!counts(path)) return real<Flush>("fsync")(fd);
    return around("fsync", path, [&](const std::string&) {
        make_durable(fd, path);
        return 0;  // the tests lose what they want to lose by themselves
    });
}

int ftruncate(int fd, off_t size) {
    const std::string path = path_of(fd);
    if (!counts(path)) return real<Truncate>("ftruncate")(fd, size);
    return around("ftruncate", path,
                  [&](const std::string&) { return real<Truncate>("ftruncate")(fd, size); });
}

int rename(const char* from, const char* to) {
    const std::string path = whole_path(to);
    if (!counts(path)) return real<Rename>("rename")(from, to);
    return around("rename", path, [&](const std::string&) { return real<Rename>("rename")(from, to); });
}

int unlink(const char* path) {
    const std::string whole = whole_path(path);
    if (!counts(whole)) return real<Unlink>("unlink")(path);
    return around("unlink", whole, [&](const std::string&) { return real<Unlink>("unlink")(path); });
}

int remove(const char* path) {
    const std::string whole = whole_path(path);
    if (!counts(whole)) return real<Unlink>("remove")(path);
    return around("unlink", whole, [&](const std::string&) { return real<Unlink>("remove")(path); });
}

int mkdir(const char* path, mode_t mode) {
    const std::string whole = whole_path(path);
    if (!counts(whole)) return real<MakeFolder>("mkdir")(path, mode);
    return around("mkdir", whole, [&](const std::string&) { return real<MakeFolder>("mkdir")(path, mode); });
}
}
