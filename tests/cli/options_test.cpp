#include <gtest/gtest.h>
#include <set>
#include <sstream>
#include <string>

#include "cli/parse.h"

namespace assay::cli {
namespace {

constexpr Commands kOne[] = {kCalibrate, kTokenize, kInspect,     kStats,   kSimilarity,
                             kReport,    kRecipe,   kSensitivity, kDevices, kKld};

TEST(Options, NoNameStandsTwiceInACommand) {
    for (const Commands command : kOne) {
        std::set<std::string_view> seen;
        for_each_option(command, [&](const Option& option) {
            for_each_name(option, [&](std::string_view name) {
                EXPECT_TRUE(seen.insert(name).second) << name << " of " << command;
                EXPECT_EQ(name[0], '-') << name;
            });
        });
    }
}

TEST(Options, EachHasAText) {
    for_each_option(kEvery, [](const Option& option) { EXPECT_FALSE(option.text.empty()) << option.names; });
}

TEST(Options, ThoseThatWorkHaveALongNameAndAnEffect) {
    for (const Option& option : working_options()) {
        EXPECT_EQ(option.fate, Fate::Works) << option.names;
        EXPECT_TRUE(option.name().starts_with("--")) << option.names;
        EXPECT_TRUE(option.apply != nullptr || option.name() == "--help") << option.names;
    }
    for (const Option& option : foreign_options()) EXPECT_NE(option.fate, Fate::Works) << option.names;
}

TEST(Options, VariablesAreThoseOfRuns) {
    std::set<std::string_view> seen;
    for_each_option(kEvery, [&](const Option& option) {
        if (option.variable.empty()) return;
        EXPECT_TRUE(option.variable.starts_with("LLAMA_ARG_")) << option.names;
        EXPECT_TRUE(seen.insert(option.variable).second) << option.variable;
        EXPECT_NE(option.commands & kRuns, 0u) << option.names;
        EXPECT_FALSE(option.value.empty()) << option.names << ": a switch would need its own reading";
    });
}

// The options that llama-imatrix prints for itself and for a calibration run (2026-08), and those of
// ik_llama.cpp's fork that its users give.
TEST(Options, KnowWhatThePeersDocument) {
    std::istringstream names(
        "-m --model -f --file -bf --binary-file -p --prompt -o --output --output-file --output-format -ofreq "
        "--output-frequency --save-frequency --process-output --output-tensor-name --in-file --chunk "
        "--from-chunk "
        "--chunks --no-ppl --ppl --parse-special --show-statistics -lsim --layer-similarity --output-draft "
        "--draft-output --draft-output-file -h --help --usage -c --ctx-size -b --batch-size -ub "
        "--ubatch-size -t "
        "--threads -tb --threads-batch -ngl --gpu-layers --n-gpu-layers -fit --fit -fitt -fitc --fit-margin "
        "-gfm -ot "
        "--override-tensor -cmoe --cpu-moe -ncmoe --n-cpu-moe -ts --tensor-split -sm -mg -dev --device "
        "--list-devices --rpc -fa --flash-attn -no-fa -mla -fmoe -no-fmoe -fug -no-fug -amb -ser -rtr -mqkv "
        "-muge "
        "-thp --defer-experts --prefetch-experts --mmap --no-mmap --mlock -dio -lm --load-mode -ctk -ctv "
        "--numa "
        "--override-kv -okv --rope-scaling --rope-scale --rope-freq-base --rope-freq-scale --yarn-orig-ctx "
        "--yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast --lora --lora-scaled "
        "--control-vector --control-vector-scaled --control-vector-layer-range --check-tensors -e --escape "
        "--no-escape -hf -hfr --hf-repo -hff -hft -mu -dr --offline -lv --verbosity --log-verbosity -v "
        "--verbose "
        "--log-verbose --log-file --log-disable --log-prefix --no-log-prefix --log-timestamps "
        "--no-log-timestamps "
        "--log-colors -C --cpu-mask -Cr --cpu-range --cpu-strict --prio --poll -Cb -Crb --cpu-strict-batch "
        "--prio-batch --poll-batch --keep --swa-full --perf --no-perf -nkvo -kvo --repack -nr --no-host -dt "
        "-np "
        "-s --seed --temp --top-k --grammar -j -jf -bs --in-prefix --in-suffix --no-context-shift -md "
        "--model-draft --nextn");
    for (std::string name; names >> name;) EXPECT_NE(find_option(name, kCalibrate), nullptr) << name;
}

// What is accepted may not change a matrix. These would: other weights, other attention, other experts, other
// rows, or the data of other blocks.
TEST(Options, ThoseThatWouldGiveAnotherMatrixAreRefused) {
    std::istringstream names(
        "--lora --lora-scaled --control-vector --control-vector-scaled --control-vector-layer-range -ser "
        "--smart-expert-reduction -no-ger -dsa --dsa-top-k -fidx -mtp "
        "--output-draft -hf -hff -mu -dr -hfd --rpc");
    for (std::string name; names >> name;) {
        const Option* option = find_option(name, kCalibrate);
        ASSERT_NE(option, nullptr) << name;
        EXPECT_EQ(option->fate, Fate::Refused) << name;
    }
}

struct Mistake {
    const char* typed;
    const char* meant;
};

class NearestName : public testing::TestWithParam<Mistake> {};

TEST_P(NearestName, IsTheOneMeant) {
    EXPECT_EQ(nearest_name(GetParam().typed, kCalibrate), GetParam().meant);
}

INSTANTIATE_TEST_SUITE_P(All, NearestName,
                         testing::Values(Mistake{"--ctx-sise", "--ctx-size"},
                                         Mistake{"-ctx-size", "--ctx-size"}, Mistake{"--modle", "--model"},
                                         Mistake{"--proces-output", "--process-output"},
                                         Mistake{"--layer-similarty", "--layer-similarity"},
                                         Mistake{"-ofrq", "-ofreq"}, Mistake{"-lism", "-lsim"},
                                         Mistake{"--ofreq", "-ofreq"},
                                         Mistake{"--something-else-entirely", ""}, Mistake{"--xyzzy", ""}));

}  // namespace
}  // namespace assay::cli
