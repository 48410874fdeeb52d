#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/scratch_file.h"
#include "support/temp_dir.h"

namespace assay {
namespace {

constexpr std::size_t kPage = DirectFile::kAlignment;

/// Bytes that tell their own position.
std::vector<std::byte> pattern(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
    return bytes;
}

TEST(DirectFile, ReadsWhatIsThere) {
    const test::TempDir folder;
    const std::vector<std::byte> content = pattern((std::size_t{9} << 20) + 1234);  // more than one piece
    write_file_atomically(folder.path() / "file", content);
    const DirectFile file(folder.path() / "file");
    const std::size_t rounded = (content.size() + kPage - 1) / kPage * kPage;
    const PageMemory memory(rounded - kPage);
    file.read(kPage, memory.bytes());
    EXPECT_TRUE(std::equal(content.begin() + kPage, content.end(), memory.bytes().begin()));
}

TEST(DirectFile, SaysWhereAFileEndsThatHasBecomeShorter) {
    const test::TempDir folder;
    const auto path = folder.path() / "file";
    write_file_atomically(path, pattern(10 * kPage));
    const DirectFile file(path);
    std::filesystem::resize_file(path, 3 * kPage + 17);
    const PageMemory memory(10 * kPage);
    try {
        file.read(0, memory.bytes());
        FAIL() << "read past the end";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Io);
        EXPECT_NE(std::string(error.what()).find("ends at byte 12305"), std::string::npos) << error.what();
    }
}

TEST(DirectFile, RefusesAMissingFile) { EXPECT_THROW(DirectFile("/nowhere/file"), Error); }

std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(WriteFile, ReplacesTheWholeFileAndKeepsItsPermissions) {
    const test::TempDir folder;
    const auto path = folder / "file";
    write_file_atomically(path, pattern(1000));
    std::filesystem::permissions(path,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    write_file_atomically(path, pattern(10));
    EXPECT_EQ(read_file(path), text(pattern(10)));
    EXPECT_EQ(std::filesystem::status(path).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_THROW(write_file_atomically(folder / "missing" / "file", {}), Error);
    EXPECT_THROW(write_file_atomically(folder.path(), {}), Error);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
        << "nothing left behind";
}

// As /dev/null and /dev/stdout are: renaming would put a file in their place.
TEST(WriteFile, WritesIntoWhatIsNoRegularFile) {
    const test::TempDir folder;
    const auto path = folder / "pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    check_writable(path);
    write_file_atomically(path, pattern(100));
    std::vector<std::byte> received(200);
    EXPECT_EQ(::read(reader, received.data(), received.size()), 100);
    received.resize(100);
    EXPECT_EQ(received, pattern(100));
    ::close(reader);
    EXPECT_TRUE(std::filesystem::is_fifo(path));
}

TEST(ScratchFile, HoldsBytesAndLeavesNoName) {
    const test::TempDir folder;
    ScratchFile scratch(folder.path(), 3 * kPage);
    ASSERT_EQ(scratch.bytes().size(), 3 * kPage);
    scratch.bytes()[2 * kPage] = std::byte{7};
    scratch.write_back(0, 3 * kPage);
    scratch.will_need(0, 3 * kPage);
    EXPECT_EQ(scratch.bytes()[2 * kPage], std::byte{7});
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ScratchFile, AsksForItsRoomAtOnce) {
    const test::TempDir folder;
    EXPECT_THROW(ScratchFile(folder.path(), std::size_t{1} << 60), Error);  // no disk has this
    EXPECT_THROW(ScratchFile(folder.path() / "missing", kPage), Error);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace assay
