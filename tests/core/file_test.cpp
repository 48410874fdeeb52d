#include "core/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/error.h"
#include "core/scratch_file.h"
#include "support/few_descriptors.h"
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

TEST(DirectFile, ThereMayBeMoreThanDescriptors) {
    const test::TempDir folder;
    const auto path = [&](std::size_t i) { return folder.path() / std::to_string(i); };
    constexpr std::size_t kFiles = 60;
    for (std::size_t i = 0; i < kFiles; ++i)
        write_file_atomically(path(i), std::vector<std::byte>(kPage, static_cast<std::byte>(i)));
    const test::FewDescriptors few(30);
    std::vector<DirectFile> files;
    for (std::size_t i = 0; i < kFiles; ++i) files.emplace_back(path(i));
    const PageMemory memory(kPage);
    for (std::size_t i = 0; i < kFiles; ++i) {
        files[i].read(0, memory.bytes());
        EXPECT_EQ(memory.bytes()[kPage - 1], static_cast<std::byte>(i));
    }
    EXPECT_EQ(read_file(path(0)).size(), kPage) << "others need descriptors too";

    write_file_atomically(path(kFiles - 1), std::vector<std::byte>(kPage));
    try {
        files.back().read(0, memory.bytes());
        FAIL() << "took another file for the one that was opened";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("has been replaced"), std::string::npos) << error.what();
    }
}

TEST(DirectFile, RefusesAMissingFile) { EXPECT_THROW(DirectFile("/nowhere/file"), Error); }

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
