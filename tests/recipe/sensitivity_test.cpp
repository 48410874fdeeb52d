#include "recipe/sensitivity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

#include "core/error.h"
#include "recipe/model.h"
#include "recipe/recipe.h"

namespace assay::recipe {
namespace {

using quant::TypeId;

double even(const std::string&, TypeId) { return 1.0; }

TEST(FittedScale, TheGuessesOfAUnitAddUpToWhatWasMeasured) {
    const std::vector<SensitivityFile> files = {
        {"x", {{"u", TypeId::Q4_0, {"a", "b"}, 0.6, 0.0}, {"v", TypeId::Q4_0, {"c"}, 0.5, 0.0}}}};
    const Guess guess = [](const std::string& tensor, TypeId) { return tensor == "b" ? 2.0 : 1.0; };
    const FittedScale scale(files, guess);
    EXPECT_DOUBLE_EQ(scale.of("a", TypeId::Q4_0), 0.2);  // 0.2 * 1 + 0.2 * 2 = 0.6
    EXPECT_DOUBLE_EQ(scale.of("b", TypeId::Q4_0), 0.2);
    EXPECT_DOUBLE_EQ(scale.of("c", TypeId::Q6_K), 0.5);  // of another type: the same factor
    EXPECT_DOUBLE_EQ(scale.of("elsewhere", TypeId::Q4_0), 1.1 / 4);
}

TEST(FittedScale, EachMeasuredTypeHasItsOwn) {
    const std::vector<SensitivityFile> files = {
        {"x", {{"u", TypeId::Q4_0, {"a"}, 0.9, 0.0}, {"u", TypeId::Q5_0, {"a"}, 0.1, 0.0}}}};
    const FittedScale scale(files, even);
    EXPECT_DOUBLE_EQ(scale.of("a", TypeId::Q4_0), 0.9);
    EXPECT_DOUBLE_EQ(scale.of("a", TypeId::Q5_0), 0.1);
    EXPECT_DOUBLE_EQ(scale.of("a", TypeId::Q8_0), 0.5);  // both together: 1.0 over 2
}

TEST(FittedScale, SeveralFilesHoldTogether) {
    // Guesses that are no product of a layer's and a kind's part, so that one turn is not enough.
    const std::map<std::string, double> guesses = {{"0k", 1.0}, {"0v", 5.0}, {"1k", 7.0}, {"1v", 2.0}};
    const std::vector<SensitivityFile> files = {
        {"layers",
         {{"blk.0", TypeId::Q4_0, {"0k", "0v"}, 6.0, 0.0}, {"blk.1", TypeId::Q4_0, {"1k", "1v"}, 18.0, 0.0}}},
        {"kinds",
         {{"k", TypeId::Q4_0, {"0k", "1k"}, 8.0, 0.0}, {"v", TypeId::Q4_0, {"0v", "1v"}, 16.0, 0.0}}}};
    const FittedScale scale(files, [&](const std::string& tensor, TypeId) { return guesses.at(tensor); });
    for (const SensitivityFile& file : files)
        for (const MeasuredUnit& unit : file.units) {
            double sum = 0.0;
            for (const std::string& tensor : unit.tensors)
                sum += guesses.at(tensor) * scale.of(tensor, TypeId::Q4_0);
            EXPECT_NEAR(sum, unit.divergence, 1e-6) << unit.unit;
        }
}

TEST(FittedScale, NoiseCountsAsItsErrorAndNothingChangesWithoutFiles) {
    const std::vector<SensitivityFile> files = {{"x", {{"u", TypeId::Q4_0, {"a"}, -0.1, 0.2}}}};
    EXPECT_DOUBLE_EQ(FittedScale(files, even).of("a", TypeId::Q4_0), 0.2);
    EXPECT_DOUBLE_EQ(FittedScale({}, even).of("a", TypeId::Q4_0), 1.0);
    // A type that changes nothing tells nothing.
    const Guess nothing = [](const std::string&, TypeId) { return 0.0; };
    EXPECT_DOUBLE_EQ(FittedScale(files, nothing).of("a", TypeId::Q4_0), 1.0);
}

class SensitivityFileTest : public testing::Test {
  protected:
    SensitivityFile read(const std::string& text) {
        write_file_atomically(path_, std::as_bytes(std::span(text)));
        return read_sensitivity(path_);
    }
    std::string refusal(const std::string& text) {
        try {
            read(text);
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::BadFile);
            return error.what();
        }
        return {};
    }
    static std::string file_with(const std::string& unit) {
        return R"({"format": "assay.sensitivity", "version": 1, "units": [)" + unit + "]}";
    }

    test::TempDir folder_;
    std::filesystem::path path_ = folder_ / "s.json";
};

TEST_F(SensitivityFileTest, ReadsUnits) {
    const SensitivityFile file = read(file_with(
        R"({"unit": "attn_k", "type": "q4_K", "tensors": ["a", "b"], "divergence": 0.25, "divergence_error": 0.01})"));
    ASSERT_EQ(file.units.size(), 1u);
    EXPECT_EQ(file.units[0].unit, "attn_k");
    EXPECT_EQ(file.units[0].type, TypeId::Q4_K);
    EXPECT_THAT(file.units[0].tensors, testing::ElementsAre("a", "b"));
    EXPECT_EQ(file.units[0].divergence, 0.25);
    EXPECT_EQ(file.units[0].error, 0.01);
}

TEST_F(SensitivityFileTest, RefusesAnythingElse) {
    for (const std::string text :
         {"", "[]", "{}", "3", "{\"format\": \"other\"}", "\xff\xfe", "{\"format\": \"assay.sensitivity\"}"})
        EXPECT_THAT(refusal(text), testing::HasSubstr("assay sensitivity")) << text;
    EXPECT_THAT(refusal(R"({"format": "assay.sensitivity", "version": 2})"), testing::HasSubstr("version 2"));
    for (const std::string unit :
         {"3", "{}", R"({"unit": 1, "type": "q4_0", "tensors": [], "divergence": 1, "divergence_error": 1})",
          R"({"unit": "u", "type": "q4_0", "tensors": [1], "divergence": 1, "divergence_error": 1})",
          R"({"unit": "u", "type": "q4_0", "tensors": [], "divergence": null, "divergence_error": 1})"})
        EXPECT_FALSE(refusal(file_with(unit)).empty()) << unit;
    EXPECT_THAT(refusal(file_with(
                    R"({"unit": "u", "type": "q9", "tensors": [], "divergence": 1, "divergence_error": 1})")),
                testing::HasSubstr("unknown type 'q9'"));
    EXPECT_THROW(read_sensitivity(folder_ / "missing.json"), Error);
}

TEST(RecipeWithSensitivity, BitsGoWhereRoundingWasMeasuredToHurt) {
    const TinyModel model({{"blk.0.ffn_up.weight", {256, 64}}, {"blk.1.ffn_up.weight", {256, 64}}});
    ThreadPool threads(1);
    Options options;
    options.target_bpw = 6.6;
    options.types = {TypeId::Q4_0, TypeId::Q8_0};
    for (const bool first : {false, true}) {
        options.sensitivity = {{"x",
                                {{"blk.0", TypeId::Q4_0, {"blk.0.ffn_up.weight"}, first ? 0.9 : 0.1, 0.0},
                                 {"blk.1", TypeId::Q4_0, {"blk.1.ffn_up.weight"}, first ? 0.1 : 0.9, 0.0}}}};
        const Recipe recipe = make_recipe(model.file(), imatrix::Matrix(), options, threads);
        EXPECT_EQ(recipe.tensors[0].type, first ? TypeId::Q8_0 : TypeId::Q4_0);
        EXPECT_EQ(recipe.tensors[1].type, first ? TypeId::Q4_0 : TypeId::Q8_0);
        EXPECT_TRUE(recipe.in_nats);
        // The other half is hardly rounded: what was measured of this one is what is expected.
        EXPECT_NEAR(recipe.error, 0.1, 0.01);
    }
    options.sensitivity[0].units[0].tensors = {"blk.7.ffn_up.weight"};
    EXPECT_THROW(make_recipe(model.file(), imatrix::Matrix(), options, threads), Error);
}

}  // namespace
}  // namespace assay::recipe
