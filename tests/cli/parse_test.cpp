#include "cli/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace assay::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Case {
    Words typed;
    Words option_and_value;
};

class Spelling : public testing::TestWithParam<Case> {};

TEST_P(Spelling, BecomesTheLongName) {
    const CommandLine line = read_command_line(GetParam().typed, kCalibrate);
    ASSERT_EQ(line.given.size(), 1u);
    EXPECT_THAT(GetParam().option_and_value,
                ElementsAre(line.given[0].value.option, line.given[0].value.text));
    EXPECT_EQ(line.given[0].option->name(), line.given[0].value.option);
    EXPECT_THAT(line.warnings, IsEmpty());
    EXPECT_THAT(line.files, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, Spelling,
    testing::Values(
        Case{{"-m", "a.gguf"}, {"--model", "a.gguf"}}, Case{{"-ofreq", "10"}, {"--output-frequency", "10"}},
        Case{{"-lsim"}, {"--layer-similarity", ""}}, Case{{"--ctx_size", "64"}, {"--ctx-size", "64"}},
        Case{{"--ctx-size=64"}, {"--ctx-size", "64"}}, Case{{"--output", "x"}, {"--output", "x"}},
        Case{{"--output-file", "x"}, {"--output", "x"}}, Case{{"--from-chunk", "3"}, {"--chunk", "3"}},
        // A value is a value, whatever it looks like; underscores inside it stay.
        Case{{"--chunks", "-1"}, {"--chunks", "-1"}}, Case{{"-p", "-m"}, {"--prompt", "-m"}},
        Case{{"--prompt=a=b_c"}, {"--prompt", "a=b_c"}}, Case{{"-f", ""}, {"--file", ""}}));

struct Foreign {
    Words typed;
    const char* warning;  ///< part of it
};

class WithoutEffect : public testing::TestWithParam<Foreign> {};

TEST_P(WithoutEffect, IsTakenWithItsValuesAndOneWarning) {
    Words typed = GetParam().typed;
    typed.insert(typed.end(), {"-m", "a.gguf"});
    const CommandLine line = read_command_line(typed, kCalibrate);
    EXPECT_EQ(line.given.back().value.text, "a.gguf");
    EXPECT_THAT(line.files, IsEmpty());
    EXPECT_THAT(line.warnings, ElementsAre(HasSubstr(GetParam().warning)));
}

INSTANTIATE_TEST_SUITE_P(
    All, WithoutEffect,
    testing::Values(
        Foreign{{"-ub", "512"}, "-ub has no effect: results do not depend"},
        Foreign{{"-b", "512", "--batch-size", "1"}, "-b has no effect"}, Foreign{{"-fa"}, "-fa has no"},
        Foreign{{"-fa", "on"}, "-fa has no"}, Foreign{{"--flash-attn=off"}, "--flash-attn has no"},
        Foreign{{"-fit", "off"}, "-fit has no"}, Foreign{{"--no-mmap"}, "--no-mmap has no"},
        Foreign{{"-ot", "exps=CPU"}, "device"}, Foreign{{"--temp", "-0.5"}, "nothing is generated"},
        Foreign{{"--spec-replace", "1", "9"}, "nothing is generated"},
        Foreign{{"-no-fmoe"}, "every observed product"}, Foreign{{"-mla", "1"}, "-mla has no effect"},
        Foreign{{"--yarn_ext_factor", "1"}, "--yarn-ext-factor has no effect"}));

struct Wrong {
    Words typed;
    const char* message;
};

class Refused : public testing::TestWithParam<Wrong> {};

TEST_P(Refused, WithASentence) {
    try {
        read_command_line(GetParam().typed, kCalibrate);
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Usage);
        EXPECT_STREQ(error.what(), GetParam().message);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, Refused,
    testing::Values(Wrong{{"--modle", "x"}, "--modle: unknown option, is --model meant?"},
                    Wrong{{"--xyzzy"}, "--xyzzy: unknown option; --help lists the known ones"},
                    Wrong{{"--chunks"}, "--chunks: needs a value"}, Wrong{{"-ub"}, "-ub: needs a value"},
                    Wrong{{"--spec-replace", "1"}, "--spec-replace: needs two values"},
                    Wrong{{"--no-ppl=1"}, "--no-ppl: takes no value, '1' was given"},
                    Wrong{{"-hf", "user/model"},
                          "-hf: models are not downloaded; fetch the .gguf file (every part of a split "
                          "model) and give it with -m "
                          "FILE"}));

TEST(CommandLine, OtherWordsAreKeptApart) {
    const CommandLine line = read_command_line({"a", "--ppl", "-", "-1", "--", "-m"}, kCalibrate);
    EXPECT_THAT(line.files, ElementsAre("a", "-", "-1", "-m"));
    EXPECT_EQ(line.given.size(), 1u);
}

}  // namespace
}  // namespace assay::cli
