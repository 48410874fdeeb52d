#include "report/lines.h"

#include "golden.h"

namespace assay::report {
namespace {

TEST(Lines, PerplexityReadsLikeLlamaImatrix) {
    EXPECT_EQ(chunk_text(1, 16.26594), "[1]16.2659,");
    EXPECT_EQ(estimate_text(perplexity::Estimate{18.30012, 0.859481}),
              "Final estimate: PPL = 18.3001 +/- 0.85948\n");
    EXPECT_EQ(estimate_text(std::nullopt), "Unexpected negative standard deviation of log(prob)\n");
}

TEST(Lines, BlocksThatPredictAheadHaveALineEach) {
    EXPECT_EQ(nextn_text(92, 2, perplexity::Estimate{18.30012, 0.859481}),
              "NextN block 92, 2 tokens ahead: PPL = 18.3001 +/- 0.85948\n");
    EXPECT_EQ(nextn_text(92, 2, std::nullopt),
              "NextN block 92, 2 tokens ahead: PPL = unknown, the variance is not positive\n");
}

// The peer's own lists, taken apart into means and printed again.
TEST(Lines, SimilarityReadsLikeIkLlama) {
    const std::string golden = golden_text("report/peer.similarity.txt");
    similarity::Similarity similarity;
    similarity::Kind kind = similarity::Kind::Layer;
    for (std::size_t at = 0; at < golden.size(); at = golden.find('\n', at) + 1) {
        const std::string line = golden.substr(at, golden.find('\n', at) - at);
        if (line.find("attention") != std::string::npos) kind = similarity::Kind::Attention;
        if (line.find("ffn") != std::string::npos) kind = similarity::Kind::Ffn;
        const auto value = line.find("= ");
        const auto layer = line.find("Layer ");
        if (layer == std::string::npos) continue;
        similarity.add(kind, std::stoi(line.substr(layer + 6)), std::stod(line.substr(value + 2)), 1);
    }
    EXPECT_EQ(similarity.finish(similarity::Kind::Layer).size(), 30u);
    EXPECT_EQ(similarity_text(similarity), "\n" + golden);
}

TEST(Lines, ARolesPerplexityHasItsName) {
    EXPECT_EQ(role_text("assistant", perplexity::Estimate{8.25, 0.125}),
              "assistant tokens: PPL = 8.2500 +/- 0.12500\n");
    EXPECT_EQ(role_text("assistant", std::nullopt),
              "assistant tokens: PPL = unknown, the variance is not positive\n");
}

TEST(Lines, EmptyListsAreLeftOut) {
    similarity::Similarity similarity;
    EXPECT_EQ(similarity_text(similarity), "");
    similarity.add(similarity::Kind::Attention, 5, -0.5, 1);
    EXPECT_EQ(similarity_text(similarity),
              "\n======================== sorted attention importances\n  0: Layer   5, <cos_sim> = -0.5\n");
}

TEST(Lines, ResidualTableHasTheLayersOfAllParts) {
    using similarity::Kind;
    similarity::Similarity similarity;
    for (int layer = 0; layer < 3; ++layer) similarity.add(Kind::Residual, layer, {1.0, 0.5, 2});
    EXPECT_EQ(residual_text(similarity), "") << "a file may hold one part without the others";
    similarity.add(Kind::ResidualAttention, 0, {0.5, 0.25, 2});
    similarity.add(Kind::ResidualFfn, 1, {2.0, 3.0, 2});
    EXPECT_EQ(residual_text(similarity),
              "\nresidual stream: cosine and |change| / |before|\n"
              "layer       whole layer         attention      feed-forward\n"
              "    0   0.5000   0.2500   0.2500   0.1250      nan      nan\n");
}

}  // namespace
}  // namespace assay::report
