// What a user sees of states: how a run is stopped, gone on with, refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "reliability/run.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Resumed : public testing::Test {
  protected:
    /// Ends the run in its second wave, after states within it, or before a call of the caller's choice.
    void kill(std::size_t call = 0) {
        if (call == 0) call = run_.calls().size() / 2;
        const auto o = run_.start(run_.faults(fmt::format("FAULT_AT={} FAULT_DO=before", call)));
        ASSERT_EQ(o.code, 99) << o.err;
    }
    void expect_reference(const cli::Outcome& outcome) {
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_EQ(outcome.out, run_.reference_text());
        EXPECT_EQ(read_file(run_.output()) == run_.reference(), true);
    }
    fs::path checkpoint() const { return run_.folder() / "out.gguf.checkpoint"; }
    void damage(const fs::path& path) const {
        std::string bytes = read_file(path);
        bytes[bytes.size() / 2] ^= 1;
        write_file_atomically(path, std::as_bytes(std::span(bytes)));
    }
    /// state-0 or state-1, the one that was written last.
    fs::path newest() const {
        const fs::path a = checkpoint() / "state-0", b = checkpoint() / "state-1";
        return fs::last_write_time(a) > fs::last_write_time(b) ? a : b;
    }

    FaultRun run_{"qwen3moe-moe"};
};

TEST_F(Resumed, OnAnotherMachine) {
    for (const char* options :
         {"-t 3", "--wave 1", "--wave 3", "--device cpu,cpu", "--device cpu,cpu,cpu --wave 3",
          "--spill . --wave 2", "-ofreq 1", "--memory 64m"}) {
        kill();
        const auto o = run_.resume({}, options);
        EXPECT_THAT(o.err, HasSubstr("resuming after ")) << options;
        expect_reference(o);
    }
    // Begun by several, ended by one.
    const auto o = run_.start(run_.faults("FAULT_AT=60 FAULT_DO=before"), "--device cpu,cpu --wave 3");
    EXPECT_EQ(o.code, 99);
    expect_reference(run_.resume());
}

TEST_F(Resumed, TwiceAndNotOnceMore) {
    kill();
    EXPECT_EQ(run_.resume(run_.faults("FAULT_AT=30 FAULT_DO=after")).code, 99);
    expect_reference(run_.resume());
    const auto before = fs::last_write_time(run_.output());
    const auto o = run_.resume();
    EXPECT_EQ(o.code, 0);
    EXPECT_EQ(o.out, "");
    EXPECT_THAT(o.err,
                HasSubstr("the run is complete, and run/out.gguf holds its result: nothing is left to do"));
    EXPECT_EQ(fs::last_write_time(run_.output()), before);
    fs::remove(run_.output());
    const auto again = run_.resume();
    EXPECT_THAT(again.err, HasSubstr("nothing to resume in run/out.gguf.checkpoint: the run starts"));
    expect_reference(again);
}

TEST_F(Resumed, FromNothingItStarts) {
    const auto o = run_.start({}, "--resume --checkpoint run/kept");
    EXPECT_THAT(o.err, HasSubstr("nothing to resume in run/kept: the run starts from the beginning"));
    EXPECT_THAT(o.err, testing::ContainsRegex("state kept [0-9]+ times, [0-9.]+ s in all"));
    expect_reference(o);
    EXPECT_TRUE(fs::exists(run_.folder() / "kept" / "complete"));
}

TEST_F(Resumed, OnlyTheSameRun) {
    write_file_atomically(run_.outside() / "other.gguf", std::as_bytes(std::span(run_.reference())));
    kill();
    struct Other {
        const char* options;
        const char* item;
    };
    for (const Other& other :
         {Other{"-c 48", "--ctx-size was 32, is 48 now"}, Other{"--chunks 2", "(--chunks) was 3, is 2 now"},
          Other{"--chunk 1", "--chunk was 0, is 1 now"},
          Other{"--parse-special", "--parse-special was no, is yes"},
          Other{"--no-ppl", "the perplexity (--no-ppl) was yes, is no now"},
          Other{"--precision bf16", "the arithmetic (--device, --precision, --isa) was cpu"},
          Other{"--isa scalar", "the arithmetic"}, Other{"--in-file other.gguf", "(--in-file) was 0, is 1"},
          Other{"-okv general.name=str:x", "overridden metadata was none, is general.name"},
          Other{"--output-tensor-name other",
                "the output projection (--process-output) was output.weight"}}) {
        const auto o = run_.resume({}, other.options);
        EXPECT_EQ(o.code, 1) << other.options;
        EXPECT_THAT(o.err,
                    HasSubstr("assay: --resume: the state in run/out.gguf.checkpoint is of another run: "));
        EXPECT_THAT(o.err, HasSubstr(other.item));
    }
    expect_reference(run_.resume());
}

/// Another text, or another way of making chunks of it, and what is said of it.
struct OtherText {
    std::string name, content;  ///< of a file that changes; empty: none
    std::string options;
    std::string item;
};

void refuse_others(FaultRun& run, const std::vector<OtherText>& others) {
    const std::size_t call = run.calls().size() / 2;
    ASSERT_EQ(run.start(run.faults(fmt::format("FAULT_AT={} FAULT_DO=before", call))).code, 99);
    const auto write = [&](const std::string& name, const std::string& content) {
        write_file_atomically(run.outside() / name, std::as_bytes(std::span(content)));
    };
    for (const OtherText& other : others) {
        const std::string before = other.name.empty() ? "" : read_file(run.outside() / other.name);
        if (!other.name.empty()) write(other.name, other.content);
        const auto o = run.resume({}, other.options);
        EXPECT_EQ(o.code, 1) << other.item;
        EXPECT_THAT(o.err,
                    HasSubstr("assay: --resume: the state in run/out.gguf.checkpoint is of another run: " +
                              other.item));
        if (!other.name.empty()) write(other.name, before);
    }
    const auto o = run.resume();
    EXPECT_THAT(o.err, HasSubstr("resuming after "));
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(o.out, run.reference_text());
    EXPECT_EQ(read_file(run.output()) == run.reference(), true);
}

TEST(ResumedDocuments, OnlyTheSameConversations) {
    if (!has_jinja2()) GTEST_SKIP() << "jinja2 is not there";
    FaultRun run("qwen3moe-moe", conversations());
    std::string lines = read_file(run.outside() / "d.jsonl");
    std::string other = lines, swapped = lines;
    other.replace(other.find("Seven"), 5, "Eight");
    swapped.replace(swapped.find(R"("user")"), 6, R"("tool")");
    refuse_others(run, {{"d.jsonl", other, "", "the text's tokens was "},
                        {"t.jinja", "{% for m in messages %}{{ m.content }}\n{% endfor %}", "",
                         "the number of chunks (--chunks) was 3, is 2 now"},
                        {"d.jsonl", swapped, "--chat-template t.jinja", "the text's tokens was "},
                        {"", "", "--weights user=0.5,template=0.5", "the tokens' weights was "},
                        {"", "", "--weights user=1", "the tokens' weights was "},
                        {"", "", "-bf d.jsonl", "the text's tokens was "}});
}

TEST(ResumedDocuments, OnlyTheSamePieces) {
    FaultRun run("qwen3moe-moe", pieces());
    std::string other = read_file(run.outside() / "p.txt");
    other.replace(other.find("calm"), 4, "wild");
    refuse_others(run, {{"p.txt", other, "", "the text's tokens was "},
                        {"", "", "--split-on '%%It'", "the number of chunks (--chunks) was 3, is 2 now"}});
}

TEST_F(Resumed, FromTheStateBeforeADamagedOne) {
    kill();
    damage(newest());
    const auto o = run_.resume();
    EXPECT_THAT(o.err, HasSubstr("is damaged: "));
    EXPECT_THAT(o.err, HasSubstr("resuming after "));
    expect_reference(o);
    kill();
    for (const char* name : {"state-0", "state-1"}) damage(checkpoint() / name);
    const auto none = run_.resume();
    EXPECT_THAT(none.err, HasSubstr("nothing to resume"));
    expect_reference(none);
}

TEST_F(Resumed, ANewStartKeepsAStateThatIsFarther) {
    kill();
    const std::string kept = read_file(newest());
    const std::string command = run_.command("");
    const auto o = cli::shell(run_.outside(), run_.faults("FAULT_AT=12 FAULT_DO=before") + ' ' + command);
    EXPECT_EQ(o.code, 99);
    EXPECT_THAT(o.err, HasSubstr("and --resume would go on from there"));
    EXPECT_EQ(read_file(newest()) == kept, true);
    expect_reference(run_.resume());
}

TEST_F(Resumed, NothingIsAddedTwiceToWhereARunStarts) {
    const std::string first = run_.command("").substr(0, run_.command("").find(" -o "));
    const auto line = [&](const std::string& options) {
        return first + " -o run/sum.gguf --in-file run/sum.gguf " + options;
    };
    const auto begin = [&] {
        run_.start({}, "--no-checkpoint");
        fs::rename(run_.output(), run_.folder() / "sum.gguf");
    };
    begin();
    ASSERT_EQ(cli::shell(run_.outside(), line("--checkpoint run/kept")).code, 0);
    const std::string expected = read_file(run_.folder() / "sum.gguf");
    for (const int call : {40, 70, 74, 78, 82}) {
        begin();
        cli::shell(run_.outside(), run_.faults(fmt::format("FAULT_AT={} FAULT_DO=before", call)) + ' ' +
                                       line("--checkpoint run/kept"));
        const auto anew = cli::shell(run_.outside(), line("--checkpoint run/kept"));
        EXPECT_EQ(anew.code, 1);
        EXPECT_THAT(anew.err, HasSubstr("may be counted twice"));
        const auto o = cli::shell(run_.outside(), line("--checkpoint run/kept --resume"));
        EXPECT_EQ(o.code, 0) << o.err;
        EXPECT_EQ(read_file(run_.folder() / "sum.gguf") == expected, true) << call << o.err;
    }
}

/// A run that lasts until it is stopped; the signals follow its first state.
std::string stopped(const std::string& command, const std::string& signals) {
    return fmt::format(
        "{} > live & pid=$!; while kill -0 $pid && ! test -e run/out.gguf.checkpoint/state-0; do "
        "sleep 0.02; done; {}; wait $pid",
        command, signals);
}

TEST_F(Resumed, AfterSignals) {
    struct Signal {
        const char* send;
        int code;
    };
    std::string text = read_file(run_.text());
    for (int i = 0; i < 5; ++i) text += text;
    write_file_atomically(run_.outside() / "long.txt", std::as_bytes(std::span(text)));
    const std::string command =
        run_.command("-f long.txt --isa scalar --chunks 80 --wave 80 --checkpoint-interval 0.05");
    const auto begin = [&](const std::string& line) {
        fs::remove_all(run_.folder());
        fs::create_directories(run_.folder());
        return cli::shell(run_.outside(), line);
    };
    const std::string expected_text = begin(command + " --no-checkpoint").out;
    const std::string expected = read_file(run_.output());
    for (const Signal& signal : {Signal{"kill -INT $pid", 130}, Signal{"kill -TERM $pid", 143},
                                 Signal{"kill -HUP $pid; kill -HUP $pid", 129}}) {
        const auto o = begin(stopped(command, signal.send));
        EXPECT_EQ(o.code, signal.code) << o.err;
        EXPECT_THAT(o.err,
                    testing::ContainsRegex("assay: stopped as asked after [0-9]+ of [0-9]+ chunks; the same "
                                           "command with --resume goes on \\(its state is in "
                                           "run/out.gguf.checkpoint\\)"));
        const auto more = cli::shell(run_.outside(), command + " --resume");
        EXPECT_EQ(more.code, 0) << more.err;
        EXPECT_THAT(more.err, HasSubstr("resuming after "));
        EXPECT_EQ(more.out, expected_text) << signal.send;
        EXPECT_EQ(read_file(run_.output()) == expected, true) << signal.send;
    }
}

TEST_F(Resumed, TwoRunsDoNotShareATarget) {
    const std::string wait =
        "while kill -0 $pid && ! ls run/assay-lock-* > /dev/null 2>&1; do sleep 0.01; done; ";
    fs::remove_all(run_.folder());
    fs::create_directories(run_.folder());
    const std::string command = run_.command("");
    const auto o = cli::shell(
        run_.outside(),
        fmt::format("{} > first 2>&1 & pid=$!; {} kill -STOP $pid; {}; code=$?; {} -o run/other.gguf "
                    "--checkpoint run/out.gguf.checkpoint; kill -CONT $pid; wait $pid; exit $code",
                    command, wait, command, command));
    EXPECT_EQ(o.code, 1);
    EXPECT_THAT(o.err, testing::ContainsRegex(
                           "assay: run/out.gguf: another run \\(process [0-9]+\\) is writing to it"));
    EXPECT_EQ(read_file(run_.output()) == run_.reference(), true);
}

TEST_F(Resumed, TargetsThatCannotBeAreNamed) {
    const auto o = run_.start({}, "--checkpoint run/no/such/../folder");
    EXPECT_EQ(o.code, 0) << "made where they are missing: " << o.err;
    std::ofstream(run_.folder() / "file");
    const auto file = run_.start({}, "--checkpoint /dev/null");
    EXPECT_EQ(file.code, 1);
    EXPECT_THAT(file.err, HasSubstr("assay: /dev/null: cannot"));
    EXPECT_THAT(run_.start({}, "--resume --no-checkpoint").err, HasSubstr("--resume: needs the state"));
    EXPECT_THAT(run_.start({}, "-o /dev/null --resume").err, HasSubstr("--resume: /dev/null is no file"));
    EXPECT_EQ(run_.start({}, "-o /dev/null").code, 0);
    EXPECT_FALSE(fs::exists("/dev/null.checkpoint"));
    EXPECT_THAT(run_.start({}, "-o run").err, HasSubstr("assay: run: is a folder"));
}

}  // namespace
}  // namespace assay
