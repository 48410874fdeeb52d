// The whole program on several ranks of this machine, and over parts of a text: the same bytes as one process
// gives, also where a rank dies on the way. Skipped where mpirun or the module for it is not there.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>
#include <regex>

#include "cli/shell.h"
#include "core/file.h"
#include "reliability/run.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

/// Chunks of 32 tokens, so that seven ranks have work.
class RanksTest : public testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        if (!has_mpi()) GTEST_SKIP() << "mpirun or the module for MPI is not there";
    }
    std::string command(const std::string& output, const std::string& options) const {
        return fmt::format(
            "$ASSAY -m {} -f {} -c 32 --chunks 16 -lsim --device cpu --precision f32 -t 1 -o {} {}",
            fixture_.model().string(), fixture_.run().text.string(), output, options);
    }
    /// All on one machine, more than it has processors, and not bound to any.
    static std::string mpirun_options() {
        return "--allow-run-as-root --oversubscribe --bind-to none --mca btl self,vader "
               "--mca btl_vader_single_copy_mechanism none ";
    }
    static std::string mpirun(int ranks) { return fmt::format("mpirun {}-n {} ", mpirun_options(), ranks); }
    std::string bytes(const std::string& file) const { return read_file(folder_ / file); }
    cli::Outcome run(const std::string& line) {
        const cli::Outcome outcome = cli::shell(folder_, line);
        EXPECT_EQ(outcome.code, 0) << line << '\n' << outcome.err;
        return outcome;
    }

    test::Fixture fixture_{GetParam()};
    test::TempDir folder_;
};
INSTANTIATE_TEST_SUITE_P(Models, RanksTest, testing::Values("llama-dense", "qwen3moe-moe", "mamba2-dense"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(RanksTest, GiveTheBytesOfOneProcess) {
    const cli::Outcome alone = run(command("alone.gguf", "--no-checkpoint"));
    for (const int ranks : {1, 2, 3, 4, 7}) {
        const std::string output = fmt::format("ranks-{}.gguf", ranks);
        // Waves of 2 so that each rank gets several.
        const cli::Outcome together = run(
            mpirun(ranks) + command(output, ranks % 2 == 0 ? "--no-checkpoint --wave 2" : "--no-checkpoint"));
        EXPECT_EQ(together.out, alone.out) << ranks;
        EXPECT_TRUE(bytes(output) == bytes("alone.gguf")) << ranks;
    }
}

TEST_P(RanksTest, RoundsEndWhereFilesAreDue) {
    const std::string saving = "--save-frequency 5 -ofreq 3 --checkpoint-interval 0";
    run(command("alone.gguf", saving));
    run(mpirun(3) + command("ranks.gguf", saving));
    for (const char* copy : {"", ".at_5", ".at_10", ".at_15"})
        EXPECT_TRUE(bytes(std::string("alone.gguf") + copy) == bytes(std::string("ranks.gguf") + copy))
            << copy;
}

constexpr const char* kMarks = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}";

/// Fourteen conversations of one to five messages, and a text that is cut.
std::string many_conversations() {
    std::string lines;
    for (int i = 0; i < 14; ++i) {
        lines += R"({"messages": [)";
        for (int m = 0; m <= i % 5; ++m)
            lines += fmt::format(R"({}{{"role": "{}", "content": "Message {} of {}, {}."}})",
                                 m > 0 ? ", " : "", m % 2 == 0 ? "user" : "assistant", m, i,
                                 std::string(static_cast<std::size_t>(3 * i), 'x'));
        lines += "]}\n";
    }
    return lines + R"({"text": ")" + std::string(300, 'y') + "\"}\n";
}

TEST_P(RanksTest, GiveDocumentsTheBytesOfOneProcess) {
    if (!has_jinja2()) GTEST_SKIP() << "jinja2 is not there";
    const auto write = [&](const char* name, const std::string& text) {
        write_file_atomically(folder_ / name, std::as_bytes(std::span(text)));
    };
    write("d.jsonl", many_conversations());
    write("t.jinja", kMarks);
    write("p.txt",
          "The sea was calm.%%The boats went out before it was light, and came back late.%%It rained.");
    for (const char* documents :
         {"-f d.jsonl --chat-template t.jinja --weights user=0.25,template=0.5 --chunks -1",
          "-f d.jsonl --chat-template t.jinja --chunks -1", "-f p.txt --split-on %% --chunks -1"}) {
        const cli::Outcome alone = run(command("alone.gguf", fmt::format("--no-checkpoint {}", documents)));
        for (const int ranks : {2, 3}) {
            const cli::Outcome together =
                run(mpirun(ranks) +
                    command("ranks.gguf", fmt::format("--no-checkpoint --wave {} {}", ranks, documents)));
            EXPECT_EQ(together.out, alone.out) << ranks << documents;
            EXPECT_TRUE(bytes("ranks.gguf") == bytes("alone.gguf")) << ranks << documents;
        }
    }
}

TEST_P(RanksTest, GoOnInAnotherNumber) {
    const cli::Outcome alone = run(command("alone.gguf", "--no-checkpoint"));
    std::mt19937 random(20261127);
    const char* asked = std::getenv("ASSAY_RANK_KILLS");
    const std::string line = command("out.gguf", "--wave 1 --checkpoint-interval 0");
    double longest = 0;
    int n_ended = 0, n_hanging = 0;
    const int n_kills = asked != nullptr ? std::atoi(asked) : 2;
    for (int kill = 0; kill < n_kills; ++kill) {
        const int before = 2 + kill % 3, after = 1 + (kill + 1) % 4;
        // One rank, from the first to the last by turns, ends at a random moment, if it lives so long.
        const int victim = kill % before;
        const std::string doomed = fmt::format("sh -c '(sleep {:.2f}; kill -9 $$) & exec \"$@\"' sh {}",
                                               0.3 + 0.02 * static_cast<double>(random() % 80), line);
        // mpirun 4.1 may stand still for ever when a rank dies while it starts: all ranks are gone by then.
        std::string ranks = "timeout -k 1 30 mpirun " + mpirun_options();
        for (int rank = 0; rank < before; ++rank)
            ranks += fmt::format("{}-n 1 {} ", rank > 0 ? ": " : "", rank == victim ? doomed : line);
        const auto start = std::chrono::steady_clock::now();
        const cli::Outcome ended = cli::shell(folder_, ranks);
        const bool launcher_hangs =
            ended.code == 124 && ended.err.find("exited on signal 9") != std::string::npos;
        n_hanging += launcher_hangs;
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        if (!launcher_hangs) longest = std::max(longest, took.count());
        n_ended += ended.code != 0;
        const cli::Outcome outcome = run((after > 1 ? mpirun(after) : std::string()) + line + " --resume");
        EXPECT_TRUE(bytes("out.gguf") == bytes("alone.gguf")) << before << ", " << after;
        const bool complete = outcome.err.find("the run is complete") != std::string::npos;
        EXPECT_EQ(outcome.out, complete ? std::string() : alone.out);
        fs::remove_all(folder_ / "out.gguf.checkpoint");
        fs::remove(folder_ / "out.gguf");
    }
    EXPECT_LT(longest, 30);
    std::printf(
        "%d of %d runs ended by a kill, the longest after %.1f s; mpirun itself stood still after %d; all "
        "resumed to the same bytes\n",
        n_ended, n_kills, longest, n_hanging);
}

TEST_P(RanksTest, StopWhenOneOrAllAreAskedTo) {
    const cli::Outcome alone = run(command("alone.gguf", "--no-checkpoint"));
    const std::string line = command("out.gguf", "--wave 1 --checkpoint-interval 0");
    const std::string asked = "sh -c '(sleep 0.9; kill -TERM $$) & exec \"$@\"' sh " + line;
    for (const std::vector<int>& who : {std::vector{0}, std::vector{2}, std::vector{0, 1, 2}}) {
        std::string ranks = "timeout -k 1 60 mpirun " + mpirun_options();
        for (int rank = 0; rank < 3; ++rank)
            ranks += fmt::format("{}-n 1 {} ", rank > 0 ? ": " : "",
                                 std::ranges::count(who, rank) > 0 ? asked : line);
        const auto start = std::chrono::steady_clock::now();
        cli::shell(folder_, ranks);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        EXPECT_LT(took.count(), 30) << who.front();
        run(line + " --resume");
        EXPECT_TRUE(bytes("out.gguf") == bytes("alone.gguf")) << who.front();
        fs::remove_all(folder_ / "out.gguf.checkpoint");
        fs::remove(folder_ / "out.gguf");
    }
}

/// A model that is larger than each rank's part of the ring.
class StreamedRanksTest : public RanksTest {
  protected:
    /// What --verbose says that the ranks of this machine have read.
    static std::uint64_t bytes_read(const cli::Outcome& outcome) {
        std::smatch found;
        const std::regex line("read from disk: on [^,]* \\(([0-9]+) bytes\\)\n");
        return std::regex_search(outcome.err, found, line) ? std::stoull(found[1]) : 0;
    }
};
INSTANTIATE_TEST_SUITE_P(Models, StreamedRanksTest, testing::Values("qwen35moe-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(StreamedRanksTest, ReadEachByteOnceTogether) {
    run(command("alone.gguf", "--no-checkpoint"));
    const std::string streamed = "--no-checkpoint --verbose --memory 164m ";
    const std::uint64_t model = fs::file_size(fixture_.model());
    // One reading for each wave that a rank takes: 16 chunks over 2, 4 and 3 ranks in one, in two, and in a
    // round of 9 and one of 7.
    struct Case {
        int ranks;
        std::string options;
        std::uint64_t readings;
    };
    std::uint64_t once = 0;
    for (const auto& [ranks, options, readings] :
         {Case{2, "", 1}, Case{4, "--wave 2", 2}, Case{3, "--save-frequency 9", 2}}) {
        const cli::Outcome together = run(mpirun(ranks) + command("ranks.gguf", streamed + options));
        EXPECT_TRUE(bytes("ranks.gguf") == bytes("alone.gguf")) << options;
        const std::uint64_t read = bytes_read(together);
        if (once == 0) once = read;
        EXPECT_EQ(read, readings * once) << options;
    }
    EXPECT_GT(once, model / 2) << "rows of embeddings are not streamed";
    EXPECT_LT(once, model + model / 10);
    // Where there is no memory to share they read each for itself, and say so.
    const cli::Outcome apart = run(mpirun(2) + "sh -c 'ulimit -f 20000; exec \"$@\"' sh " +
                                   command("apart.gguf", "--no-checkpoint --memory 1g"));
    EXPECT_TRUE(bytes("apart.gguf") == bytes("alone.gguf"));
    EXPECT_NE(apart.err.find("reads a streamed model for itself: shared memory: cannot get"),
              std::string::npos)
        << apart.err;
}

TEST_P(StreamedRanksTest, StopWhenAskedAndGoOn) {
    run(command("alone.gguf", "--no-checkpoint"));
    const std::string line = command("out.gguf", "--memory 164m --wave 1 --checkpoint-interval 0");
    for (const int asked : {0, 1}) {
        const std::string stopped =
            fmt::format("sh -c '(sleep 1.2; kill -TERM $$) & exec \"$@\"' sh {}", line);
        const cli::Outcome ended =
            cli::shell(folder_, fmt::format("timeout -k 1 30 mpirun {}-n 1 {} : -n 1 {}", mpirun_options(),
                                            asked == 0 ? stopped : line, asked == 1 ? stopped : line));
        EXPECT_NE(ended.code, 124) << ended.err;
        run(mpirun(2) + line + " --resume");
        EXPECT_TRUE(bytes("out.gguf") == bytes("alone.gguf"));
        fs::remove_all(folder_ / "out.gguf.checkpoint");
        fs::remove(folder_ / "out.gguf");
    }
}

class PartsTest : public RanksTest {
  protected:
    void SetUp() override {}
};
INSTANTIATE_TEST_SUITE_P(Models, PartsTest, testing::Values("llama-dense", "qwen3moe-moe", "mamba2-dense"),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(PartsTest, OfATextMergeToTheWhole) {
    const std::string more = "--no-checkpoint --missing-experts one ";
    const cli::Outcome alone = run(command("alone.gguf", more));
    run(command("a.gguf", more + "--chunks 5 --output-format exact"));
    run(command("b.gguf", more + "--chunk 5 --chunks 4 --output-format exact"));
    run(command("c.gguf", more + "--chunk 9 --chunks 7 --output-format exact"));
    const cli::Outcome merged = run("$ASSAY merge c.gguf a.gguf b.gguf -o whole.gguf");
    EXPECT_TRUE(bytes("whole.gguf") == bytes("alone.gguf"));
    EXPECT_EQ(alone.out.substr(0, merged.out.size()), merged.out) << "the similarity follows there";
    // In two steps, the first of which stays exact.
    run("$ASSAY merge c.gguf a.gguf --output-format exact -o ac.gguf");
    run("$ASSAY merge b.gguf ac.gguf -o whole.gguf");
    EXPECT_TRUE(bytes("whole.gguf") == bytes("alone.gguf"));
    const cli::Outcome gap = run("$ASSAY merge a.gguf c.gguf -o gap.gguf");
    EXPECT_NE(gap.err.find("chunks 5 to 8"), std::string::npos) << gap.err;
    const cli::Outcome twice = cli::shell(folder_, "$ASSAY merge a.gguf ac.gguf -o twice.gguf");
    EXPECT_EQ(twice.code, 1);
    EXPECT_NE(twice.err.find("ac.gguf holds chunks 0 to 4 (from 0) as a.gguf does"), std::string::npos)
        << twice.err;
    run("$ASSAY merge --force a.gguf ac.gguf -o twice.gguf");
}

}  // namespace
}  // namespace assay
