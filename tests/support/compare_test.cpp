#include "support/compare.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "core/error.h"

namespace assay::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::filesystem::path golden(const char* name) {
    return std::filesystem::path(ASSAY_GOLDEN_DIR) / "archs" / name;
}

/// Two experts of two columns, energies per token 1, 3 and 2, 2: the mean is 2.
Matrix sample() { return {{"blk.0.ffn_up_exps.weight", {{10, 30, 8, 8}, {10, 4}}}}; }

TEST(Compare, AgreesWithItself) { EXPECT_THAT(differences(sample(), sample()), IsEmpty()); }

TEST(Compare, NamesWhatIsMissingAndWhatIsTooMuch) {
    Matrix other = sample();
    other["b"] = {{1}, {1}};
    EXPECT_THAT(differences(sample(), other), ElementsAre("b: missing"));
    EXPECT_THAT(differences(other, sample()), ElementsAre("b: unexpected"));
}

TEST(Compare, MeasuresValuesAgainstTheMeanEnergy) {
    Matrix other = sample();
    other.begin()->second.sums[1] += 10 * 2 * 0.0011;
    EXPECT_THAT(differences(other, sample()), ElementsAre(HasSubstr("values differ by 0.0011")));
    other = sample();
    other.begin()->second.sums[1] += 10 * 2 * 0.0009;
    EXPECT_THAT(differences(other, sample()), IsEmpty());
}

TEST(Compare, MeasuresCountsAgainstTheLargerOfThemAndTheirMean) {
    const Matrix reference = {{"w", {{1, 1}, {1000, 10}}}};
    Matrix mine = reference;
    mine["w"].counts[1] = 15;  // 5 is 50 % of 10 but below 1 % of the mean, 505
    EXPECT_THAT(differences(mine, reference, {.values = 10, .counts = 0.01}), IsEmpty());
    mine["w"].counts[1] = 16;
    EXPECT_THAT(differences(mine, reference, {.values = 10, .counts = 0.01}),
                ElementsAre(HasSubstr("count 1 is 16, expected 10")));
}

TEST(Compare, SeesShapesAndWhatIsNoNumber) {
    Matrix other = sample();
    other.begin()->second.counts.pop_back();
    EXPECT_THAT(differences(other, sample()),
                ElementsAre(HasSubstr("4 sums and 1 counts, expected 4 and 2")));
    other = sample();
    other.begin()->second.sums[2] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_THAT(differences(other, sample()), ElementsAre(HasSubstr("values differ by inf")));
}

TEST(Compare, ReadsTheReferences) {
    const Matrix dense = read_matrix(golden("llama-dense.imatrix.gguf"));
    EXPECT_EQ(dense.at("blk.0.attn_q.weight").counts, std::vector<double>{768});  // 6 chunks of 128
    const Matrix moe = read_matrix(golden("llama-moe.imatrix.gguf"));
    const Energy& experts = moe.at("blk.0.ffn_down_exps.weight");
    EXPECT_GT(experts.counts.size(), 1u);
    EXPECT_EQ(experts.sums.size() % experts.counts.size(), 0u);
    EXPECT_FALSE(differences(dense, moe).empty());
}

TEST(Compare, RefusesWhatIsNoMatrix) { EXPECT_THROW(read_matrix(golden("text.txt")), Error); }

TEST(Compare, PerplexityErrorIsPerNatWhereLogitsAreSharp) {
    EXPECT_NEAR(perplexity_error({100, 101}, {100, 100}), std::log(1.01), 1e-12);
    const double sharp = std::exp(14.0);
    EXPECT_NEAR(perplexity_error({sharp * 1.01}, {sharp}), std::log(1.01) / 2, 1e-12);
    EXPECT_TRUE(std::isinf(perplexity_error({1}, {1, 2})));
    EXPECT_TRUE(std::isinf(perplexity_error({-1}, {2})));
}

}  // namespace
}  // namespace assay::test
