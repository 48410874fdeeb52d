#include "cli/options_table.h"

#include <gtest/gtest.h>
#include <set>
#include <sstream>
#include <string>

namespace assay::cli {
namespace {

TEST(OptionsTable, NoNameStandsTwice) {
    std::set<std::string> seen;
    for (const OptionRow& row : calibrate_options()) {
        std::istringstream names{std::string(row.names)};
        for (std::string name; names >> name;) {
            EXPECT_TRUE(seen.insert(name).second) << name;
            EXPECT_EQ(name[0], '-') << name;
        }
    }
}

TEST(OptionsTable, EveryOptionWithoutEffectHasAReason) {
    for (const OptionRow& row : calibrate_options())
        EXPECT_EQ(row.reason.empty(), row.fate == Fate::Works) << row.names;
}

TEST(OptionsTable, OptionsThatWorkHaveALongName) {
    for (const OptionRow& row : calibrate_options())
        EXPECT_TRUE(row.fate != Fate::Works || canonical_name(row).starts_with("--")) << row.names;
}

// The options that llama-imatrix prints for itself and for a calibration run (2026-08), and those of
// ik_llama.cpp's fork that its users give.
TEST(OptionsTable, KnowsWhatThePeersDocument) {
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
        "-s --seed --temp --top-k --grammar -j -jf -bs --in-prefix --in-suffix --no-context-shift -md");
    for (std::string name; names >> name;) EXPECT_NE(find_option(calibrate_options(), name), nullptr) << name;
}

struct Mistake {
    const char* typed;
    const char* meant;
};

class NearestName : public testing::TestWithParam<Mistake> {};

TEST_P(NearestName, IsTheOneMeant) {
    EXPECT_EQ(nearest_name(calibrate_options(), GetParam().typed), GetParam().meant);
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
