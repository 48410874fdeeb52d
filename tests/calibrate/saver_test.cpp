// A matrix is written while other work goes on, and what the disk refuses is told.
#include "calibrate/saver.h"

#include <gtest/gtest.h>
#include <stdexcept>

#include "core/file.h"
#include "support/temp_dir.h"

namespace assay::calibrate {
namespace {

class SaverTest : public testing::Test {
  protected:
    SaverTest() {
        matrix_.chunk_size = 8;
        matrix_.entries["a.weight"] = {2, {1, 4}, {1, 2}, {8}};
    }

    test::TempDir folder_;
    imatrix::Matrix matrix_;
    Saver saver_;
};

TEST_F(SaverTest, EveryPathHoldsWhatSaveWrites) {
    imatrix::Notes notes;
    imatrix::save(matrix_, folder_.path() / "expected", imatrix::Format::Gguf, notes);
    for (int round = 0; round < 2; ++round) {
        saver_.start(matrix_, imatrix::Format::Gguf, {folder_.path() / "one", folder_.path() / "two"});
        EXPECT_TRUE(saver_.under_way());
        const Saver::Outcome outcome = saver_.finish();
        EXPECT_FALSE(saver_.under_way());
        ASSERT_EQ(outcome.files.size(), 2u);
        for (const Saver::File& file : outcome.files) {
            EXPECT_FALSE(file.failure);
            EXPECT_EQ(read_file(file.path), read_file(folder_.path() / "expected"));
        }
    }
}

TEST_F(SaverTest, ARefusedFileDoesNotKeepTheOthersBack) {
    saver_.start(matrix_, imatrix::Format::Gguf,
                 {folder_.path() / "missing" / "one", folder_.path() / "two"});
    const Saver::Outcome outcome = saver_.finish();
    ASSERT_TRUE(outcome.files.front().failure);
    EXPECT_EQ(outcome.files.front().failure->kind(), ErrorKind::Io);
    EXPECT_FALSE(outcome.files.back().failure);
    EXPECT_TRUE(std::filesystem::exists(folder_.path() / "two"));
}

TEST_F(SaverTest, AMatrixThatCannotBeStoredIsAnError) {
    const imatrix::Matrix nothing;
    saver_.start(nothing, imatrix::Format::Gguf, {folder_.path() / "one"});
    EXPECT_THROW(saver_.finish(), Error);
    EXPECT_FALSE(saver_.under_way());
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "one"));
}

TEST_F(SaverTest, WhatComesBehindTheFilesMayFailToo) {
    const auto outcome_with = [&](std::function<void()> after) {
        saver_.start(matrix_, imatrix::Format::Gguf, {folder_.path() / "one"}, std::move(after));
        return saver_.finish();
    };
    EXPECT_FALSE(outcome_with([] {}).state_failure);
    const Saver::Outcome outcome = outcome_with([] { throw Error(ErrorKind::Io, "state-0", "is full"); });
    ASSERT_TRUE(outcome.state_failure);
    EXPECT_EQ(outcome.state_failure->where(), "state-0");
    EXPECT_FALSE(outcome.files.front().failure);
    EXPECT_THROW(outcome_with([] { throw std::runtime_error("no error of ours"); }), std::runtime_error);
    EXPECT_FALSE(outcome_with([] {}).state_failure) << "it is told once";
}

TEST_F(SaverTest, WhatWasBegunIsWrittenBeforeItGoes) {
    {
        Saver saver;
        saver.start(matrix_, imatrix::Format::Gguf, {folder_.path() / "one"});
    }
    EXPECT_TRUE(std::filesystem::exists(folder_.path() / "one"));
}

}  // namespace
}  // namespace assay::calibrate
