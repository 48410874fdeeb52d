#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/file.h"
#include "support/temp_dir.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
    write_file_atomically(path, std::as_bytes(std::span(text)));
}

/// What check_writable says; empty when nothing.
std::string refusal(const fs::path& path, const std::vector<fs::path>& kept = {}) {
    try {
        check_writable(path, kept);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

class WriteFile : public testing::Test {
  protected:
    std::size_t n_files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
    }
    test::TempDir folder_;
};

TEST_F(WriteFile, ReplacesTheWholeAndLeavesNothingElse) {
    const fs::path path = folder_ / "file";
    EXPECT_EQ(refusal(path), "");
    EXPECT_EQ(n_files(), 0u) << "the check leaves nothing";
    write(path, "long content");
    write(path, "short");
    EXPECT_EQ(read_file(path), "short");
    EXPECT_EQ(n_files(), 1u);
}

TEST_F(WriteFile, ReplacesWhatALinkNames) {
    fs::create_directory(folder_ / "far");
    fs::create_symlink("far/file", folder_ / "near");
    fs::create_symlink(folder_ / "near", folder_ / "nearer");
    write(folder_ / "nearer", "first");  // nothing is there yet
    write(folder_ / "nearer", "second");
    EXPECT_TRUE(fs::is_symlink(folder_ / "near"));
    EXPECT_TRUE(fs::is_symlink(folder_ / "nearer"));
    EXPECT_EQ(read_file(folder_ / "far/file"), "second");
}

TEST_F(WriteFile, WritesIntoAPipeAndLeavesIt) {
    const fs::path path = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ(refusal(path), "");
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    ASSERT_GE(reader, 0);
    write(path, "through");
    char buffer[16];
    EXPECT_EQ(::read(reader, buffer, sizeof buffer), 7);
    ::close(reader);
    EXPECT_TRUE(fs::is_fifo(path));
}

TEST_F(WriteFile, TakesTheLongestNameThatAFileCanHave) {
    const fs::path path = folder_ / std::string(255, 'n');
    EXPECT_EQ(refusal(path), "");
    write(path, "content");
    EXPECT_EQ(read_file(path), "content");
}

TEST_F(WriteFile, PermissionsAreTheUsersOrThoseOfTheOldFile) {
    const fs::path path = folder_ / "file";
    const auto mode = [&] { return fs::status(path).permissions(); };
    const mode_t before = ::umask(027);
    write(path, "first");
    ::umask(before);
    EXPECT_EQ(mode(), fs::perms(0640));
    fs::permissions(path, fs::perms(0604));
    write(path, "second");
    EXPECT_EQ(mode(), fs::perms(0604));
}

TEST_F(WriteFile, SaysBeforehandWhatCannotWork) {
    EXPECT_THAT(refusal(folder_.path()), testing::HasSubstr("is a folder"));
    EXPECT_THAT(refusal(folder_ / "missing/file"), testing::HasSubstr("No such file"));
    write(folder_ / "file", "content");
    EXPECT_THAT(refusal(folder_ / "file/below"), testing::HasSubstr("Not a directory"));
    EXPECT_THAT(refusal(folder_ / std::string(256, 'n')), testing::HasSubstr("too long"));
    EXPECT_THAT(refusal("/proc/file"), testing::StartsWith("/proc/file: "));  // takes no files from anyone
    EXPECT_EQ(n_files(), 1u);
}

TEST_F(WriteFile, RefusesToReplaceWhatIsKept) {
    const fs::path kept = folder_ / "kept";
    write(kept, "content");
    fs::create_symlink("kept", folder_ / "link");
    fs::create_hard_link(kept, folder_ / "twin");
    for (const fs::path& path : {kept, folder_ / "link", folder_ / "twin", folder_.path() / "." / "kept"})
        EXPECT_THAT(refusal(path, {"", kept}), testing::HasSubstr("the result would replace")) << path;
    EXPECT_THAT(refusal(folder_ / "new", {folder_.path() / "." / "new"}),
                testing::HasSubstr("the result would replace"))
        << "two results in one place";
    EXPECT_EQ(refusal(folder_ / "other", {"", kept}), "");
    EXPECT_EQ(refusal("/dev/null", {"/dev/null"}), "") << "nothing is replaced there";
}

}  // namespace
}  // namespace assay
