// What a run leaves behind at its end, where it is stopped, and where its states cannot be written.
#include "calibrate/saves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <utility>

#include "calibrate/run_fixture.h"

namespace assay::calibrate {
namespace {

using testing::Contains;
using testing::HasSubstr;

class SavesTest : public testing::Test {
  protected:
    SavesTest() {
        options_.wave_chunks = 2;
        options_.checkpoint_folder = fixture_.folder().path() / "states";
        options_.checkpoint_seconds = 0;  // a state behind each stage
    }
    /// Folders where the states belong.
    void block_states() const {
        for (const char* name : {"state-0", "state-1"})
            std::filesystem::create_directories(options_.checkpoint_folder / name / "in the way");
    }
    std::string output() const { return read_file(options_.output); }
    std::string plain_output() {
        const std::filesystem::path folder = std::exchange(options_.checkpoint_folder, {});
        Recorder recorder;
        run(options_, recorder);
        options_.checkpoint_folder = folder;
        return output();
    }

    test::Fixture fixture_{"llama-dense"};
    Options options_ = options_for(fixture_);
    Recorder recorder_;
};

TEST_F(SavesTest, WithoutStatesTheRunGoesOn) {
    const std::string expected = plain_output();
    block_states();
    run(options_, recorder_);
    EXPECT_TRUE(output() == expected);
    EXPECT_THAT(recorder_.notes, Contains(HasSubstr("it is not used")));
    EXPECT_THAT(recorder_.notes, Contains(HasSubstr("; the state before stays, and the run goes on")));
}

TEST_F(SavesTest, WithoutStatesAStopLeavesTheMatrix) {
    block_states();
    recorder_.stop_after = 2;
    EXPECT_TRUE(run(options_, recorder_).stopped);
    imatrix::Notes notes;
    EXPECT_EQ(imatrix::load(options_.output, {}, notes).chunk_count, 2u);
    EXPECT_THAT(recorder_.notes, Contains(HasSubstr("the state before stays")));
}

TEST_F(SavesTest, AStopBeforeTheFirstChunkLeavesNoMatrix) {
    recorder_.stop_after = 0;
    EXPECT_TRUE(run(options_, recorder_).stopped);
    EXPECT_FALSE(std::filesystem::exists(options_.output));
}

// What it began with must not be lost: only the state has what came since.
TEST_F(SavesTest, AStoppedRunKeepsTheMatrixThatItBeganWith) {
    const std::string before = plain_output();
    options_.in_files = {options_.output};
    recorder_.stop_after = 2;
    EXPECT_TRUE(run(options_, recorder_).stopped);
    EXPECT_TRUE(output() == before);
    options_.resume = true;
    Recorder resumed;
    const Result result = run(options_, resumed);
    EXPECT_FALSE(result.stopped);
    imatrix::Notes notes;
    EXPECT_EQ(imatrix::load(options_.output, {}, notes).chunk_count,
              static_cast<std::uint32_t>(2 * fixture_.run().n_chunks));
}

}  // namespace
}  // namespace assay::calibrate
