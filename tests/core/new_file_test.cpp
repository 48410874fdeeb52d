#include "core/new_file.h"

#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/file.h"
#include "support/temp_dir.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

class NewFileTest : public testing::Test {
  protected:
    std::size_t n_files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
    }
    test::TempDir folder_;
    const fs::path path_ = folder_ / "file";
};

TEST_F(NewFileTest, TheOldOneStaysUntilTheEnd) {
    write_file_atomically(path_, bytes_of("old"));
    {
        NewFile file(path_, 7);
        file.write(bytes_of("new "));
        file.write(bytes_of("one"));
        EXPECT_EQ(read_file(path_), "old");
        file.commit();
    }
    EXPECT_EQ(read_file(path_), "new one");
    {
        NewFile file(path_, 9);
        file.write(bytes_of("abandoned"));
    }
    const std::string large(std::size_t{3} << 20, 'x');
    {
        NewFile file(folder_ / "large", large.size() + 4);
        for (const std::string& piece : {std::string("ab"), large, std::string("cd")})
            file.write(bytes_of(piece));
        file.commit();
    }
    EXPECT_EQ(read_file(folder_ / "large") == "ab" + large + "cd", true);
    fs::remove(folder_ / "large");
    EXPECT_EQ(read_file(path_), "new one");
    EXPECT_EQ(n_files(), 1u);
}

TEST_F(NewFileTest, WhatAKilledProcessLeftIsTakenOver) {
    fs::path left;
    {
        NewFile file(path_, 1);
        for (const auto& entry : fs::directory_iterator(folder_.path())) left = entry.path();
    }
    ASSERT_FALSE(left.empty());
    write_file_atomically(left, bytes_of("half a file that is longer than the next"));
    write_file_atomically(path_, bytes_of("whole"));
    EXPECT_EQ(read_file(path_), "whole");
    EXPECT_EQ(n_files(), 1u);
}

TEST_F(NewFileTest, OnlyOneAtATime) {
    NewFile file(path_, 1);
    try {
        NewFile other(folder_.path() / "." / "file", 1);
        FAIL() << "both have it";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Io);
        EXPECT_THAT(error.what(), testing::HasSubstr("another run is writing to it"));
    }
    NewFile(folder_ / "another", 1).commit();
    file.commit();
    NewFile(path_, 1).commit();
}

TEST_F(NewFileTest, TellsWhatIsMissing) {
    write_file_atomically(path_, bytes_of("old"));
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{4, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::string told;
    try {
        write_file_atomically(path_, bytes_of("longer than that"));
    } catch (const Error& error) {
        told = error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(told,
              path_.string() +
                  ": cannot write: File too large; 12 of 16 bytes are missing, and the file is as it was");
    EXPECT_EQ(read_file(path_), "old");
    EXPECT_EQ(n_files(), 1u);
}

TEST_F(NewFileTest, ATargetIsLockedByName) {
    fs::create_symlink("file", folder_ / "link");
    {
        const TargetLock lock(path_);
        try {
            const TargetLock other(folder_ / "link");
            FAIL() << "both have it";
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr(fmt::format(
                                          "another run (process {}) is writing to it", ::getpid())));
        }
        const TargetLock third(folder_ / "another");
        write_file_atomically(path_, bytes_of("its owner may"));
    }
    const TargetLock again(folder_ / "link");
    const TargetLock device("/dev/null"), other_device("/dev/null");
    fs::remove(folder_ / "link");
}

TEST_F(NewFileTest, ALockLeavesNothing) {
    { const TargetLock lock(path_); }
    EXPECT_EQ(n_files(), 0u);
}

}  // namespace
}  // namespace assay
