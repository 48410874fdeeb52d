// The folder of a run's states: which state a run goes on from, and what it says of the others.
#include "calibrate/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "support/planned.h"

namespace assay::calibrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CheckpointTest : public testing::Test {
  protected:
    CheckpointTest() {
        options_.output = folder_ / "out.gguf";
        options_.checkpoint_folder = folder_ / "states";
        sums_.committed.matrix.chunk_size = 64;
        sums_.committed.matrix.entries["w"] = {2, {1, 2}, {}, {8}};
    }
    std::unique_ptr<Checkpoint> open(const std::string& run = "one") {
        return std::make_unique<Checkpoint>(options_, [run] { return Identity{{"run", run}}; });
    }
    void begin(Checkpoint& checkpoint, std::int64_t chunks_done) {
        checkpoint.write({chunks_done, 0, 0}, sums_, planned_.plan);
    }
    void write(Checkpoint& checkpoint, std::int64_t chunks_done) {
        begin(checkpoint, chunks_done);
        checkpoint.settle();
    }
    /// The folder of a run that has written a state after each of these chunks.
    void leave_states(const std::vector<std::int64_t>& after, const std::string& run = "one") {
        const auto checkpoint = open(run);
        checkpoint->look(0);
        for (const std::int64_t chunks_done : after) write(*checkpoint, chunks_done);
    }
    Found look(const std::string& run = "one") { return open(run)->look(0); }
    void damage(const std::string& name) {
        std::string bytes = read_file(options_.checkpoint_folder / name);
        bytes.back() = static_cast<char>(bytes.back() ^ 1);
        write_file_atomically(options_.checkpoint_folder / name, std::as_bytes(std::span(bytes)));
    }
    template <typename Body> static std::string message_of(Body body) {
        try {
            body();
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

    test::TempDir folder_;
    const test::Planned planned_{"llama-dense"};
    Options options_;
    CollectorState sums_;
};

TEST_F(CheckpointTest, NothingIsMadeBeforeAState) {
    EXPECT_FALSE(look().state);
    EXPECT_FALSE(std::filesystem::exists(options_.checkpoint_folder));
    options_.checkpoint_folder_given = true;
    look();
    EXPECT_TRUE(std::filesystem::is_directory(options_.checkpoint_folder));
    options_.checkpoint_folder.clear();
    const auto none = open();
    EXPECT_FALSE(none->enabled() || none->due() || none->look(3).state || none->can_resume());
    none->settle_identity();
    none->finish(3);
}

TEST_F(CheckpointTest, GoesOnFromTheNewestOfTwo) {
    leave_states({1, 2, 3});
    options_.resume = true;
    const Found found = look();
    ASSERT_TRUE(found.state);
    EXPECT_EQ(found.state->head().position.chunks_done, 3);
    EXPECT_THAT(found.notes, IsEmpty());
}

TEST_F(CheckpointTest, TellsOfADamagedStateAndTakesTheOther) {
    leave_states({1, 2, 3});  // state-0, state-1, state-0
    damage("state-0");
    options_.resume = true;
    const Found found = look();
    ASSERT_TRUE(found.state);
    EXPECT_EQ(found.state->head().position.chunks_done, 2);
    EXPECT_THAT(found.notes, ElementsAre(HasSubstr("is damaged")));
    damage("state-1");
    EXPECT_FALSE(look().state);
}

TEST_F(CheckpointTest, TheStateOfAnotherRunIsReplacedButNotGoneOnFrom) {
    leave_states({1, 2}, "other");
    const Found found = look();
    EXPECT_FALSE(found.state);
    EXPECT_THAT(found.notes, ElementsAre(HasSubstr("will be replaced (run was other, is one now)")));
    options_.resume = true;
    EXPECT_THAT(message_of([&] { look(); }), HasSubstr("is of another run: run was other, is one now"));
}

// A run that was begun beside another one's states has replaced one of them.
TEST_F(CheckpointTest, ItsOwnStateComesBeforeANewerOneOfAnotherRun) {
    leave_states({1}, "other");
    leave_states({4});
    options_.resume = true;
    const Found mine = look();
    ASSERT_TRUE(mine.state);
    EXPECT_EQ(mine.state->head().position.chunks_done, 4);
    const Found others = look("other");
    ASSERT_TRUE(others.state);
    EXPECT_EQ(others.state->head().position.chunks_done, 1);
}

TEST_F(CheckpointTest, WithoutResumeAStateStaysUntilTheRunIsFarther) {
    leave_states({3});
    {
        const auto again = open();
        EXPECT_THAT(again->look(0).notes, ElementsAre(HasSubstr("it stays until this one has come further")));
        EXPECT_TRUE(again->can_resume());
        write(*again, 2);
        EXPECT_EQ(again->cost().n_written, 0);
        write(*again, 4);
        EXPECT_EQ(again->cost().n_written, 1);
    }
    options_.resume = true;
    EXPECT_EQ(look().state->head().position.chunks_done, 4);
    options_.resume = false;
    options_.in_files = {options_.output};
    write_file_atomically(options_.output, {});
    EXPECT_THAT(message_of([&] { look(); }), HasSubstr("may be counted twice"));
}

TEST_F(CheckpointTest, IsOfOneRunAtATime) {
    options_.checkpoint_folder_given = true;
    const auto first = open();
    EXPECT_THAT(message_of([&] { open(); }), HasSubstr("another run keeps its state there"));
    std::filesystem::remove(options_.checkpoint_folder);
    write_file_atomically(options_.checkpoint_folder, {});
    EXPECT_THAT(message_of([&] { open(); }), HasSubstr("states"));
}

TEST_F(CheckpointTest, ARunThatHasEndedLeavesARecord) {
    write_file_atomically(options_.output, std::as_bytes(std::span("matrix", 6)));
    {
        const auto checkpoint = open();
        checkpoint->look(0);
        checkpoint->finish(3);
        EXPECT_FALSE(std::filesystem::exists(options_.checkpoint_folder)) << "there was no state";
        write(*checkpoint, 2);
        checkpoint->finish(3);
    }
    EXPECT_FALSE(std::filesystem::exists(options_.checkpoint_folder / "state-0"));
    EXPECT_FALSE(look().complete) << "that was not asked";
    options_.resume = true;
    EXPECT_TRUE(look().complete);
    EXPECT_FALSE(look("other").complete);
    write_file_atomically(options_.output, std::as_bytes(std::span("other", 5)));
    const Found changed = look();
    EXPECT_FALSE(changed.complete);
    EXPECT_THAT(changed.notes, ElementsAre(HasSubstr("is not what the run that ended wrote there")));
    std::filesystem::remove(options_.output);
    EXPECT_THAT(look().notes, ElementsAre(HasSubstr("out.gguf")));
    damage("complete");
    EXPECT_THAT(look().notes, ElementsAre(HasSubstr("is damaged")));
}

// What it refuses is told by the next call, and the state that it has is the one before.
TEST_F(CheckpointTest, TheDiskMayTakeItsTime) {
    const auto checkpoint = open();
    checkpoint->look(0);
    write(*checkpoint, 1);
    const std::filesystem::path in_the_way = options_.checkpoint_folder / "state-1";
    std::filesystem::create_directories(in_the_way / "taken");
    begin(*checkpoint, 2);
    EXPECT_THROW(checkpoint->settle(), Error);
    checkpoint->settle();
    begin(*checkpoint, 3);
    EXPECT_THROW(begin(*checkpoint, 4), Error);
    EXPECT_EQ(checkpoint->cost().n_written, 1);
    options_.resume = true;
    std::filesystem::remove_all(in_the_way);
    begin(*checkpoint, 5);
    begin(*checkpoint, 6);
    EXPECT_EQ(checkpoint->cost().n_written, 2);
    begin(*checkpoint, 7);
    checkpoint->finish(7);  // waits
    EXPECT_FALSE(std::filesystem::exists(in_the_way));
    EXPECT_FALSE(std::filesystem::exists(options_.checkpoint_folder / "state-0"));
    begin(*checkpoint, 8);
}

TEST_F(CheckpointTest, EndsWhenItsStateIsThere) {
    {
        const auto checkpoint = open();
        checkpoint->look(0);
        begin(*checkpoint, 1);
    }
    options_.resume = true;
    EXPECT_EQ(look().state->head().position.chunks_done, 1);
}

TEST_F(CheckpointTest, WithoutAFolderKeepsNothing) {
    options_.resume = true;
    open()->finish(3);  // without an output
    EXPECT_FALSE(std::filesystem::exists(options_.checkpoint_folder));
    options_.checkpoint_folder.clear();
    options_.checkpoint_seconds = 0;
    const auto none = open();
    EXPECT_FALSE(none->look(0).state);
    EXPECT_FALSE(none->due());
    none->finish(3);
    EXPECT_FALSE(none->can_resume());
}

TEST(Interval, IsTwoMinutesOrAHundredTimesWhatAStateTakes) {
    EXPECT_FALSE(is_due(119, 0, {}));
    EXPECT_TRUE(is_due(120, 1.1, {}));
    EXPECT_FALSE(is_due(170, 1.8, {}));
    EXPECT_TRUE(is_due(181, 1.8, {}));
    EXPECT_TRUE(is_due(10, 100, 10));
    EXPECT_FALSE(is_due(9, 0, 10));
}

TEST_F(CheckpointTest, IsDueWhileNoFilesAreWritten) {
    EXPECT_FALSE(open()->due()) << "two minutes are not over";
    options_.checkpoint_seconds = 0;
    const auto checkpoint = open();
    checkpoint->look(0);
    EXPECT_TRUE(checkpoint->due());
    checkpoint->begin_files();
    EXPECT_FALSE(checkpoint->due());
    checkpoint->end_files();
    EXPECT_TRUE(checkpoint->due());
    write(*checkpoint, 1);
    EXPECT_GT(checkpoint->cost().bytes, 0u);
    options_.checkpoint_seconds = 1000;
    EXPECT_FALSE(checkpoint->due());
}

}  // namespace
}  // namespace assay::calibrate
