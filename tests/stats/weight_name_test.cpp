#include "stats/weight_name.h"

#include <gtest/gtest.h>

namespace assay::stats {
namespace {

TEST(WeightName, SplitsLikeTheTables) {
    const WeightName plain = split_name("blk.12.ffn_up_exps.weight");
    EXPECT_EQ(plain.layer, "12");
    EXPECT_EQ(plain.block, 12);
    EXPECT_EQ(plain.tensor, "ffn_up_exps");
    EXPECT_EQ(split_name("blk.3.nextn.eh_proj.weight").tensor, "eh_proj");
    EXPECT_EQ(split_name("blk.3.nextn.eh_proj.weight").layer, "3");
    EXPECT_EQ(split_name("output.weight").layer, "-");
    EXPECT_EQ(split_name("output.weight").block, std::nullopt);
    EXPECT_EQ(split_name("output.weight").tensor, "output");
    EXPECT_EQ(split_name("something").tensor, "something");
}

TEST(WeightName, SurvivesOddNames) {
    for (const char* name :
         {"", ".", "blk", "blk.", "blk.x.weight", "blk.99999999999.a.weight", "weight", "..weight"}) {
        EXPECT_EQ(split_name(name).block, std::nullopt) << name;
        EXPECT_EQ(name_in_previous_block(name), std::nullopt) << name;
    }
}

TEST(WeightName, FindsThePreviousBlock) {
    EXPECT_EQ(name_in_previous_block("blk.10.attn_q.weight"), "blk.9.attn_q.weight");
    EXPECT_EQ(name_in_previous_block("blk.0.attn_q.weight"), std::nullopt);
    EXPECT_EQ(name_in_previous_block("output.weight"), std::nullopt);
}

}  // namespace
}  // namespace assay::stats
