// Files that take a place whole or not at all, and the locks that keep two processes from the same place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/descriptor.h"

namespace assay {

/// A file beside `target` that nobody else has open through this class: its name follows from the target's,
/// and it is locked while the object lives, so that what a killed process has left is taken over and not in
/// the way. Its bytes are gone. The lock goes with the process; on file systems without locks there is none.
class LockedFile {
  public:
    /// `kind` tells apart what is beside the same target. Throws Error{Io} about `target`: its folder is
    /// missing or not writable, or another process has the file open.
    LockedFile(const std::filesystem::path& target, std::string_view kind);
    /// Removes the file, unless it has been moved.
    ~LockedFile();
    LockedFile(const LockedFile&) = delete;
    LockedFile& operator=(const LockedFile&) = delete;

    int fd() const noexcept { return file_.get(); }
    const std::filesystem::path& name() const noexcept { return name_; }
    /// The file has another name now, or none.
    void moved() noexcept { name_.clear(); }

  private:
    std::filesystem::path name_;
    Descriptor file_;
};

/// New content for `path`, which is replaced by commit(): until then the old file is there whole. Behind a
/// symbolic link it is the file linked to that is replaced; its permissions stay.
class NewFile {
  public:
    /// `size_bytes` will be written. Throws Error{Io}.
    NewFile(const std::filesystem::path& path, std::uint64_t size_bytes);
    /// Gathers small pieces. Throws Error{Io} that says how many bytes are missing, and whether there is an
    /// old file.
    void write(std::span<const std::byte> bytes);
    std::uint64_t size_bytes() const noexcept { return size_bytes_; }
    /// Flushes the file, renames it into place, flushes the folder. Throws Error{Io}.
    void commit();

  private:
    [[noreturn]] void fail(std::string_view doing) const;
    void write_out(std::span<const std::byte> bytes);

    const std::filesystem::path path_;    ///< as the user names it
    const std::filesystem::path target_;  ///< behind links
    const std::uint64_t size_bytes_;
    std::optional<mode_t> old_mode_;  ///< absent: there was no file
    std::vector<std::byte> gathered_;
    std::uint64_t written_bytes_ = 0;
    LockedFile temporary_;
};

/// Held by a process for as long as it means to replace `target` again and again.
class TargetLock {
  public:
    /// Nothing where the target is a device or a pipe. Throws Error{Usage} when another process has it, and
    /// Error{Io}.
    explicit TargetLock(const std::filesystem::path& target);

  private:
    std::optional<LockedFile> file_;
};

/// Makes the folder, and those above it that are missing, so that they survive a power cut. Throws Error{Io}.
void make_folder(const std::filesystem::path& path);

/// The folder of a file that may be named without one.
std::filesystem::path folder_of(const std::filesystem::path& path);
/// Where bytes for `path` go in the end, behind its symbolic links.
std::filesystem::path behind_links(std::filesystem::path path);

}  // namespace assay
