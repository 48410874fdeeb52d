#include "cli/progress.h"

#include <gtest/gtest.h>

namespace assay::cli {
namespace {

calibrate::Progress at(double seconds, double work) {
    calibrate::Progress progress;
    progress.chunks_done = 10;
    progress.chunks_in_wave = 5;
    progress.layers_done = 3;
    progress.n_layers = 12;
    progress.work_done = work;
    progress.elapsed_seconds = seconds;
    progress.tokens_per_second = 1234.4;
    return progress;
}

TEST(ProgressText, TellsLayersChunksSpeedAndRest) {
    EXPECT_EQ(progress_text(at(60, 0.25), 20),
              " 25.0%  chunks 11-15 of 20, layer 3 of 12, 1234 tokens/s, 3:00 left");
}

TEST(ProgressText, GuessesNoRestFromTooLittle) {
    EXPECT_EQ(progress_text(at(0.5, 0.25), 20), " 25.0%  chunks 11-15 of 20, layer 3 of 12, 1234 tokens/s");
    EXPECT_EQ(progress_text(at(60, 0), 20), "  0.0%  chunks 11-15 of 20, layer 3 of 12, 1234 tokens/s");
}

TEST(ProgressLine, RedrawsOnATerminalAndErases) {
    ProgressLine line({.stderr_is_terminal = true, .stdout_is_terminal = false}, true);
    EXPECT_EQ(line.erase(), "");
    EXPECT_EQ(line.update(at(0.05, 0.1), 20), "") << "not more often than the eye follows";
    EXPECT_EQ(line.update(at(1, 0.1), 20), "\r\033[K" + progress_text(at(1, 0.1), 20));
    EXPECT_EQ(line.begin_message(), "\r\033[K");
    EXPECT_EQ(line.erase(), "");
}

TEST(ProgressLine, DoesNotOverwriteWhatStdoutLeftOnTheSameTerminal) {
    ProgressLine line({.stderr_is_terminal = true, .stdout_is_terminal = true}, true);
    line.stdout_left_open(true);
    EXPECT_EQ(line.update(at(1, 0.1), 20), "\n\r\033[K" + progress_text(at(1, 0.1), 20));
    EXPECT_EQ(line.erase(), "\r\033[K");
    line.stdout_left_open(true);
    EXPECT_EQ(line.begin_message(), "\n");
    EXPECT_EQ(line.begin_message(), "");
}

TEST(ProgressLine, FitsTheTerminal) {
    ProgressLine line({.stderr_is_terminal = true, .stdout_is_terminal = false, .columns = 40}, true);
    EXPECT_EQ(line.update(at(1, 0.1), 20), "\r\033[K" + progress_text(at(1, 0.1), 20).substr(0, 39));
    line.resize(10);
    EXPECT_EQ(line.update(at(2, 0.1), 20), "\r\033[K" + progress_text(at(2, 0.1), 20).substr(0, 9));
}

TEST(ProgressLine, WritesNoCodesToATerminalWithoutThem) {
    ProgressLine line({.stderr_is_terminal = true, .stdout_is_terminal = true, .columns = 0}, true);
    EXPECT_EQ(line.update(at(1, 0.1), 20), "");
    line.stdout_left_open(true);
    EXPECT_EQ(line.update(at(61, 0.1), 20), "\n" + progress_text(at(61, 0.1), 20) + "\n");
    EXPECT_EQ(line.erase() + line.begin_message(), "");
    line.stdout_left_open(true);
    EXPECT_EQ(line.begin_message(), "\n");
}

TEST(ProgressLine, IsARarePlainLineElsewhere) {
    ProgressLine line({}, true);
    line.stdout_left_open(true);
    EXPECT_EQ(line.update(at(59, 0.1), 20), "");
    EXPECT_EQ(line.update(at(61, 0.1), 20), progress_text(at(61, 0.1), 20) + "\n");
    EXPECT_EQ(line.update(at(62, 0.1), 20), "");
    EXPECT_EQ(line.erase() + line.begin_message(), "");
}

TEST(ProgressLine, IsSilentWhenNotWanted) {
    ProgressLine line({.stderr_is_terminal = true, .stdout_is_terminal = true}, false);
    EXPECT_EQ(line.update(at(100, 0.5), 20), "");
}

}  // namespace
}  // namespace assay::cli
