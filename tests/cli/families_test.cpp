// Every way through the program for layers that are no llama's: latent attention, a recurrence, several
// streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/shell.h"
#include "core/file.h"
#include "support/fixture.h"

namespace assay::cli {
namespace {

using testing::HasSubstr;

class Family : public testing::TestWithParam<std::string> {
  protected:
    Outcome run(const std::string& line) const {
        return shell(
            folder_,
            fmt::format("MODEL={} TEXT={}; RUN=\"$ASSAY -m $MODEL -f $TEXT -c {} --device cpu "
                        "--precision f32 -t 2 --chunks 3 -lsim\"; ",
                        fixture_.model().string(), fixture_.run().text.string(), fixture_.run().n_ctx) +
                line);
    }
    std::string bytes(const std::string& name) const { return read_file(folder_ / name); }

    test::Fixture fixture_{GetParam()};
    test::TempDir folder_;
};

INSTANTIATE_TEST_SUITE_P(All, Family, testing::Values("deepseek2-kvb-moe", "deepseek4-moe", "qwen3next-moe"),
                         [](const auto& of) { return test::test_name(of.param); });

TEST_P(Family, GivesTheSameBytesSpilledAndOnSeveralDevices) {
    ASSERT_EQ(run("$RUN -o whole.gguf").code, 0);
    const Outcome spilled = run("$RUN --wave 2 --spill . -o spilled.gguf");
    ASSERT_EQ(spilled.code, 0) << spilled.err;
    EXPECT_EQ(bytes("spilled.gguf") == bytes("whole.gguf"), true);
    const Outcome dealt = run("$RUN --device cpu,cpu --wave 3 -o dealt.gguf");
    ASSERT_EQ(dealt.code, 0) << dealt.err;
    EXPECT_EQ(bytes("dealt.gguf") == bytes("whole.gguf"), true);
}

TEST_P(Family, FeedsSensitivityRecipeAndReport) {
    ASSERT_EQ(run("$RUN -o m.gguf").code, 0);
    const Outcome sensitivity = run(
        fmt::format("$ASSAY sensitivity -m $MODEL -f $TEXT -c {} --chunks 1 --type q4_0 --by kind -o s.json",
                    fixture_.run().n_ctx));
    ASSERT_EQ(sensitivity.code, 0) << sensitivity.err;
    const Outcome recipe = run("$ASSAY recipe -m $MODEL --target-bpw 8 m.gguf --sensitivity s.json");
    ASSERT_EQ(recipe.code, 0) << recipe.err;
    EXPECT_THAT(recipe.out, HasSubstr("expected divergence in nats"));
    const Outcome report = run("$ASSAY report m.gguf -m $MODEL --target-bpw 8 -o r.html");
    ASSERT_EQ(report.code, 0) << report.err;
    EXPECT_THAT(text_of(folder_ / "r.html"), HasSubstr("llama-quantize"));
}

}  // namespace
}  // namespace assay::cli
