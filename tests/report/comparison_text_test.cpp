#include "report/comparison_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace assay::report {
namespace {

perplexity::Comparison sample() {
    perplexity::Comparison c;
    c.base = "models/tiny-f16.gguf";
    c.architecture = "llama";
    c.bits_per_weight = 16.004;
    c.n_ctx = 512;
    c.n_chunks = 2;
    c.positions = 510;
    c.perplexity = {17.5, 2.25};
    perplexity::ComparedFile file;
    file.name = "models/tiny-q8_0.gguf";
    file.bits_per_weight = 8.5;
    file.perplexity = {17.75, 2.5};
    file.log_ratio = {0.0142, 0.001};
    file.divergence = {0.02, 0.002};
    file.divergences = {0.01, 0.04, 0.05, 0.06, 0.07, 0.08};
    file.probability_change = {-0.001, 0.0005};
    file.probability_change_rms = {0.015, 0.00025};
    file.same_top = {0.975, 0.0125};
    c.files = {file, file};
    c.files[1].name = "models/tiny,q4.gguf";
    c.pairs = {{0, 1, {0.5, 0.25}, {-0.125, 0.0625}}};
    return c;
}

TEST(ComparisonText, OneLineForEachFileAndPair) {
    EXPECT_EQ(
        comparison_text(sample()),
        "base models/tiny-f16.gguf: 16.00 bits per weight, perplexity 17.5000 +/- 2.2500 over 510 "
        "positions of 2 chunks\n"
        "\n"
        "file             bits  perplexity      +/-  ln(ratio)       +/-  divergence       +/-    median"
        "      90 %      95 %      99 %    99.9 %   largest rms dp %    +/- same top %    +/-\n"
        "tiny-q8_0.gguf   8.50     17.7500   2.5000  +0.014200  0.001000    0.020000  0.002000  0.010000"
        "  0.040000  0.050000  0.060000  0.070000  0.080000    1.500  0.025     97.500  1.250\n"
        "tiny,q4.gguf     8.50     17.7500   2.5000  +0.014200  0.001000    0.020000  0.002000  0.010000"
        "  0.040000  0.050000  0.060000  0.070000  0.080000    1.500  0.025     97.500  1.250\n"
        "\n"
        "from           to              ln(ratio)       +/-  divergence       +/-\n"
        "tiny-q8_0.gguf tiny,q4.gguf    +0.500000  0.250000   -0.125000  0.062500\n");
}

TEST(ComparisonText, NamesKeepTheirFoldersWhereTheyNeedThem) {
    perplexity::Comparison c = sample();
    c.files[0].name = "a/x.gguf";
    c.files[1].name = "b/x.gguf";
    EXPECT_THAT(comparison_text(c), testing::HasSubstr("\na/x.gguf "));
    c.files[1].name = "b/y\n.gguf";
    EXPECT_THAT(comparison_text(c), testing::HasSubstr("\ny\\u000a.gguf "));
}

TEST(ComparisonText, AsJson) {
    const auto json = nlohmann::json::parse(comparison_json(sample()));
    EXPECT_EQ(json.at("format"), "assay.kld");
    EXPECT_EQ(json.at("base"), "models/tiny-f16.gguf");
    EXPECT_EQ(json.at("perplexity_error"), 2.25);
    EXPECT_EQ(json.at("files").at(1).at("file"), "models/tiny,q4.gguf");
    EXPECT_EQ(json.at("files").at(0).at("divergence_99_9"), 0.07);
    EXPECT_EQ(json.at("files").at(0).at("same_top_error"), 0.0125);
    EXPECT_EQ(json.at("pairs").at(0).at("second"), "models/tiny,q4.gguf");
    EXPECT_EQ(json.at("pairs").at(0).at("divergence_change"), -0.125);
}

TEST(ComparisonText, AsCsv) {
    const std::string text = comparison_csv(sample());
    EXPECT_THAT(text, testing::StartsWith("file,bits_per_weight,perplexity,perplexity_error,log_ratio,"));
    EXPECT_THAT(text, testing::HasSubstr("\nmodels/tiny-q8_0.gguf,8.5,17.75,2.5,0.0142,0.001,0.02,"));
    EXPECT_THAT(text, testing::HasSubstr("\n\"models/tiny,q4.gguf\",8.5,"));
}

}  // namespace
}  // namespace assay::report
