#include "stats/coverage.h"

#include <gtest/gtest.h>

namespace assay::stats {
namespace {

TEST(Coverage, CountsWhatExpertsSaw) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.ffn_up_exps.weight"] = {1, {1, 0, 1, 1}, {}, {500, 0, 99, 100}};
    const Coverage result = coverage(matrix);
    ASSERT_EQ(result.experts.size(), 1u);
    EXPECT_EQ(result.experts[0].n_missing, 1u);
    EXPECT_EQ(result.experts[0].n_starving, 1u);
    EXPECT_EQ(result.experts[0].least, 0u);
    EXPECT_EQ(result.experts[0].median, 100u);
    EXPECT_EQ(result.experts[0].most, 500u);
    EXPECT_EQ(result.verdict(), Verdict::Incomplete);
    EXPECT_EQ(result.sentence(),
              "1 expert matrix never routed to; 1 matrix seen by fewer than 100 rows. More, and "
              "more varied, text would reach them.");
}

TEST(Coverage, NamesTheLeastFedExpert) {
    imatrix::Matrix matrix;
    EXPECT_EQ(coverage(matrix).experts_line(), "");
    matrix.entries["blk.0.ffn_up_exps.weight"] = {1, {1, 1, 1}, {}, {500, 7, 99}};
    matrix.entries["blk.1.ffn_up_exps.weight"] = {1, {1, 1, 1}, {}, {500, 300, 1}};
    EXPECT_EQ(
        coverage(matrix).experts_line(),
        "6 of 6 expert matrices reached, the least fed is expert 2 of blk.1.ffn_up_exps.weight with 1 token");
    EXPECT_EQ(coverage(matrix).demand_line(), "");
    matrix.entries["blk.0.ffn_up_exps.weight"].counts = {500, 0, 0};
    const std::vector<std::string> expected{"blk.2.attn_q.weight"};
    Coverage lacking = coverage(matrix, expected);
    lacking.demanding_types = "iq1_s, iq2_xxs";
    EXPECT_EQ(lacking.experts_line(),
              "4 of 6 expert matrices reached, the least fed is expert 1 of blk.0.ffn_up_exps.weight with 0 "
              "tokens");
    EXPECT_EQ(
        lacking.demand_line(),
        "to types that demand data (iq1_s, iq2_xxs): 2 expert matrices of 1 tensor would be rounded as if "
        "without data; 1 tensor is refused");
}

TEST(Coverage, JudgesFromCompleteToIncomplete) {
    imatrix::Matrix matrix;
    EXPECT_EQ(coverage(matrix).verdict(), Verdict::Incomplete);
    matrix.entries["a"] = {1, {1}, {}, {100}};
    EXPECT_EQ(coverage(matrix).verdict(), Verdict::Complete);
    EXPECT_EQ(coverage(matrix).sentence(), "Every matrix of 1 weight has data from at least 100 rows.");
    matrix.entries["b"] = {1, {1}, {}, {99}};
    EXPECT_EQ(coverage(matrix).verdict(), Verdict::Thin);
    EXPECT_EQ(coverage(matrix).thin, std::vector<std::string>{"b"});
    matrix.entries["b"] = {1, {0}, {}, {0}};
    EXPECT_EQ(coverage(matrix).verdict(), Verdict::Incomplete);
    EXPECT_EQ(coverage(matrix).empty, std::vector<std::string>{"b"});
}

TEST(Coverage, MissesWhatTheModelHas) {
    imatrix::Matrix matrix;
    matrix.entries["a"] = {1, {1}, {}, {1000}};
    const std::vector<std::string> expected{"a", "b"};
    const Coverage result = coverage(matrix, expected);
    EXPECT_EQ(result.absent, std::vector<std::string>{"b"});
    EXPECT_EQ(result.verdict(), Verdict::Incomplete);
}

}  // namespace
}  // namespace assay::stats
