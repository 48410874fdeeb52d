#include "report/sensitivity_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace assay::report {
namespace {

perplexity::Sensitivity sample() {
    perplexity::Sensitivity s;
    s.model = "tiny";
    s.architecture = "llama";
    s.by = "kind";
    s.n_ctx = 512;
    s.n_chunks = 2;
    s.positions = 510;
    s.perplexity = {17.5, 2.25};
    s.units = {{"attn_k", "q4_0", {"blk.0.attn_k.weight"}, 64, {0.5, 0.125}, {0.01, 0.001}},
               {"ffn_up", "q4_0", {"blk.0.ffn_up.weight"}, 128, {-0.25, 0.5}, {0.02, 0.002}}};
    s.unrounded = {{"q4_0", {"blk.0.odd.weight"}}};
    return s;
}

TEST(SensitivityText, PutsTheMostSensitiveFirst) {
    const std::string text = sensitivity_text(sample());
    EXPECT_THAT(text, testing::StartsWith(
                          "perplexity 17.5000 +/- 2.2500 over 510 positions of 2 chunks; rounded by kind\n"));
    EXPECT_LT(text.find("ffn_up"), text.find("attn_k"));
    EXPECT_THAT(text, testing::HasSubstr("-0.25000"));
    EXPECT_THAT(text, testing::HasSubstr("+0.50000"));
}

TEST(SensitivityText, AsCsv) {
    EXPECT_EQ(sensitivity_csv(sample()),
              "unit,type,weights,perplexity_change,perplexity_change_error,divergence,divergence_error\n"
              "attn_k,q4_0,64,0.5,0.125,0.01,0.001\n"
              "ffn_up,q4_0,128,-0.25,0.5,0.02,0.002\n");
}

TEST(SensitivityText, AsJson) {
    const auto json = nlohmann::json::parse(sensitivity_json(sample()));
    EXPECT_EQ(json.at("format"), "assay.sensitivity");
    EXPECT_EQ(json.at("version"), 1);
    EXPECT_EQ(json.at("perplexity"), 17.5);
    EXPECT_EQ(json.at("units").at(1).at("unit"), "ffn_up");
    EXPECT_EQ(json.at("units").at(1).at("divergence"), 0.02);
    EXPECT_EQ(json.at("units").at(0).at("tensors").at(0), "blk.0.attn_k.weight");
    EXPECT_EQ(json.at("unrounded").at(0).at("tensors").at(0), "blk.0.odd.weight");
}

}  // namespace
}  // namespace assay::report
