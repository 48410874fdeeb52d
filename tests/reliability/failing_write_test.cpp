// Each call that touches a file fails in turn: no file is harmed, the message names the file, and what is
// there is gone on from.
#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "reliability/run.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

class Failing : public testing::TestWithParam<std::string> {
  protected:
    FaultRun run_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Models, Failing, testing::Values("llama-dense", "qwen3moe-moe"),
                         [](const auto& name) { return test::test_name(name.param); });

bool begins_with(const std::string& text, std::string_view start) { return text.rfind(start, 0) == 0; }

TEST_P(Failing, CallsHarmNothing) {
    const std::vector<std::string> calls = run_.calls();
    int n_failed = 0, n_gone_on = 0;
    for (const int code : {ENOSPC, EIO}) {
        const std::size_t step = all_faults() ? 1 : std::max<std::size_t>(1, calls.size() / 16);
        for (std::size_t at = code == EIO ? step / 2 : 0; at < calls.size(); at += step) {
            if (begins_with(calls[at], "unlink")) continue;
            const std::string what = fmt::format("{} at call {}, {}", code, at + 1, calls[at]);
            const auto o = run_.start(run_.faults(fmt::format("FAULT_AT={} FAULT_DO={}", at + 1, code)));
            EXPECT_EQ(run_.damaged(), "") << what;
            if (o.code == 0) {  // what was not necessary
                EXPECT_EQ(read_file(run_.output()) == run_.reference(), true) << what;
                ++n_gone_on;
                continue;
            }
            EXPECT_EQ(o.code, 1) << what;
            EXPECT_THAT(o.err, testing::HasSubstr("out.gguf")) << what;
            EXPECT_THAT(o.err,
                        testing::HasSubstr(code == EIO ? "Input/output error" : "No space left on device"))
                << what;
            const auto again = run_.resume();
            EXPECT_EQ(again.code, 0) << what << again.err;
            EXPECT_EQ(read_file(run_.output()) == run_.reference(), true) << what << again.err;
            ++n_failed;
        }
    }
    std::printf("%s: %d runs ended by a failing call, %d went on\n", GetParam().c_str(), n_failed, n_gone_on);
    EXPECT_GT(n_failed, 0);
    EXPECT_GT(n_gone_on, 0);
}

TEST_P(Failing, ShortAndInterruptedCallsAreFinished) {
    const std::vector<std::string> calls = run_.calls();
    for (std::size_t at = 0; at < calls.size(); at += 1) {
        // Calls of two threads come in another order from run to run, so that another may be hit than in
        // `calls`.
        if (!all_faults() && at % 4 != 0) continue;
        for (const std::string& fault : {std::string("short"), std::to_string(EINTR)}) {
            if (fault == "short" && !begins_with(calls[at], "write")) continue;
            const std::string what = fmt::format("{} at call {}, {}", fault, at + 1, calls[at]);
            const auto o = run_.start(run_.faults(fmt::format("FAULT_AT={} FAULT_DO={}", at + 1, fault)));
            EXPECT_EQ(o.code, 0) << what << o.err;
            EXPECT_THAT(o.err, testing::Not(testing::HasSubstr("warning"))) << what;
            EXPECT_EQ(read_file(run_.output()) == run_.reference(), true) << what;
        }
    }
}

/// The last write of the matrix finds no space.
TEST_P(Failing, AFullDiskAtTheEndLosesNothing) {
    const std::string kSeldom = "--checkpoint-interval 1000";  // no state but that of the last moment
    const std::vector<std::string> calls = run_.calls(kSeldom);
    std::size_t last = 0;
    for (std::size_t at = 0; at + 1 < calls.size(); ++at)
        if (begins_with(calls[at], "rename") && calls[at].ends_with("/out.gguf")) last = at - 2;
    ASSERT_TRUE(begins_with(calls.at(last), "write")) << calls[last];
    const auto o = run_.start(run_.faults(fmt::format("FAULT_AT={} FAULT_DO={}", last + 1, ENOSPC)), kSeldom);
    EXPECT_EQ(o.code, 1);
    EXPECT_THAT(o.err,
                testing::ContainsRegex("run/out.gguf: cannot write: No space left on device; "
                                       "[0-9]+ of [0-9]+ bytes are missing, and the file is as it was"));
    const auto again = run_.resume();
    EXPECT_THAT(again.err, testing::HasSubstr("resuming after 3 chunks of 3"));
    EXPECT_EQ(read_file(run_.output()) == run_.reference(), true);
    EXPECT_EQ(again.out, run_.reference_text());
}

}  // namespace
}  // namespace assay
