// The process is ended at every boundary between what it does to files, and at any moment; with the power,
// too. Resumed, it must end as if nothing had happened.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "reliability/run.h"

namespace assay {
namespace {

void tell(const char* what, const Tally& tally) {
    std::printf("%s: same result %d, needs cleanup %d, lost work %d, silently different %d\n", what,
                tally.same, tally.cleanup, tally.lost, tally.different);
    EXPECT_EQ(tally.cleanup, 0);
    EXPECT_EQ(tally.lost, 0);
    EXPECT_EQ(tally.different, 0);
}

bool begins_with(const std::string& text, std::string_view start) { return text.rfind(start, 0) == 0; }

/// Calls after which a whole state is there: it has its name, or its name is on the disk.
std::size_t first_state(const std::vector<std::string>& calls, bool flushed) {
    for (std::size_t i = 0; i < calls.size(); ++i)
        if (begins_with(calls[i], flushed ? "fsync" : "rename") && i + 1 < calls.size() &&
            calls[i].find(flushed ? "out.gguf.checkpoint" : "state-") != std::string::npos &&
            (!flushed || calls[i].ends_with("out.gguf.checkpoint")))
            return i + 1;
    return calls.size();
}

/// So many of the calls from `first` on, spread over the run; or all.
std::vector<std::size_t> some_of(std::size_t n_calls, std::size_t n_wanted, std::size_t first) {
    const std::size_t step = all_faults() ? 1 : std::max<std::size_t>(1, n_calls / n_wanted);
    std::vector<std::size_t> chosen;
    for (std::size_t at = first % step; at < n_calls; at += step) chosen.push_back(at);
    return chosen;
}

void kill_at_boundaries(FaultRun& run, std::size_t n_wanted, std::size_t first, const std::string& name) {
    const std::vector<std::string> calls = run.calls();
    ASSERT_GT(calls.size(), 50u);
    const std::size_t kept = first_state(calls, false);
    ASSERT_LT(kept, calls.size()) << "no state was kept";
    Tally tally;
    int n_killed = 0, turn = 0;
    for (const std::size_t at : some_of(calls.size(), n_wanted, first)) {
        ++turn;
        for (const char* when : {"before", "after"}) {
            if (!all_faults() && (turn % 2 == 0) != (when[0] == 'b')) continue;  // by turns
            const std::string what = fmt::format("killed {} call {}, {}", when, at + 1, calls[at]);
            const auto o = run.start(run.faults(fmt::format("FAULT_AT={} FAULT_DO={}", at + 1, when)));
            if (o.code == 99)
                ++n_killed;
            else
                EXPECT_EQ(o.code, 0) << what << o.err;  // this time it made fewer calls
            run.resume_and_judge(at > kept, tally, what);
        }
    }
    EXPECT_GT(n_killed, 5);
    tell(fmt::format("{}, {} kills at {} file boundaries", name, n_killed, calls.size()).c_str(), tally);
}

class Killed : public testing::TestWithParam<std::string> {
  protected:
    /// From another call on for each model.
    static std::size_t first_call() {
        const auto names = run_names();
        return static_cast<std::size_t>(std::find(names.begin(), names.end(), GetParam()) - names.begin());
    }

    FaultRun run_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Models, Killed, testing::ValuesIn(run_names()),
                         [](const auto& name) { return test::test_name(name.param); });

TEST_P(Killed, AtFileBoundaries) { kill_at_boundaries(run_, 20, first_call(), GetParam()); }

TEST(KilledOnDocuments, ConversationsAtFileBoundaries) {
    if (!has_jinja2()) GTEST_SKIP() << "jinja2 is not there";
    FaultRun run("qwen3moe-moe", conversations());
    kill_at_boundaries(run, 12, 1, "conversations");
}

TEST(KilledOnDocuments, PiecesAtFileBoundaries) {
    FaultRun run("mamba2-dense", pieces());
    kill_at_boundaries(run, 12, 2, "pieces of a text");
}

TEST_P(Killed, WithThePower) {
    const std::vector<std::string> calls = run_.calls();
    const std::size_t kept = first_state(calls, true);
    ASSERT_LT(kept, calls.size()) << "no state was flushed";
    Tally tally;
    for (const std::size_t at : some_of(calls.size(), 10, first_call())) {
        run_.start(run_.faults(
            fmt::format("FAULT_AT={} FAULT_DO=before FAULT_DURABLE='{}'", at + 1, run_.durable().string())));
        run_.cut_power();
        run_.resume_and_judge(at > kept, tally,
                              fmt::format("no power before call {}, {}", at + 1, calls[at]));
    }
    tell((GetParam() + ", power cuts").c_str(), tally);
}

TEST_P(Killed, AtAnyMoment) {
    const char* asked = std::getenv("ASSAY_KILLS");
    const int n = asked != nullptr ? std::atoi(asked) : 6;
    std::random_device device;
    const unsigned seed = device();
    std::mt19937 random(seed);
    const auto start = std::chrono::steady_clock::now();
    ASSERT_EQ(run_.start().code, 0);
    const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
    Tally tally;
    int n_killed = 0;
    for (int i = 0; i < n; ++i) {
        const double seconds = std::uniform_real_distribution<>(0, 1.1 * whole.count())(random);
        std::filesystem::remove_all(run_.folder());
        std::filesystem::create_directories(run_.folder());
        // In the foreground it waits for the process that it kills; otherwise it kills itself as well, and
        // the locks may still be held for a moment.
        const auto o = cli::shell(run_.outside(), fmt::format("exec timeout --foreground -s KILL {:.4f} {}",
                                                              seconds, run_.command("")));
        n_killed += o.code != 0;
        run_.resume_and_judge(false, tally, fmt::format("killed after {:.4f} s, seed {}", seconds, seed));
    }
    tell(fmt::format("{}, {} kills at any moment", GetParam(), n_killed).c_str(), tally);
}

}  // namespace
}  // namespace assay
