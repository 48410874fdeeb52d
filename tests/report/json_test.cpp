#include "report/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "golden.h"

namespace assay::report {
namespace {

using nlohmann::json;

TEST(Json, CarriesTheFiguresOfTheTables) {
    imatrix::Notes notes;
    const auto matrix = peer_matrix();
    const auto tensors = stats::tensor_stats(matrix, notes);
    const auto parsed =
        json::parse(statistics_json(tensors, stats::layer_stats(tensors), stats::activation_stats(matrix),
                                    stats::activation_layers(matrix), stats::coverage(matrix)));
    ASSERT_EQ(parsed["tensors"].size(), 9u);
    EXPECT_EQ(parsed["tensors"][0]["tensor"], "attn_output");
    EXPECT_EQ(parsed["tensors"][0]["energy"].get<float>(), tensors[0].energy);
    EXPECT_EQ(parsed["layers"].size(), 3u);
    EXPECT_TRUE(parsed["activations"][0]["gain"].is_null());
    EXPECT_EQ(parsed["activation_layers"].size(), 3u);
    EXPECT_EQ(parsed["coverage"]["verdict"], "complete");
}

TEST(Json, TurnsWhatIsNoTextOrNumberIntoSomethingThatIs) {
    stats::TensorStats tensor;
    tensor.name = "a\"\xff";
    tensor.energy = std::nanf("");
    const auto parsed = json::parse(statistics_json(std::vector{tensor}, {}, {}, {}, {}));
    EXPECT_EQ(parsed["tensors"][0]["name"], "a\"\xef\xbf\xbd");
    EXPECT_TRUE(parsed["tensors"][0]["energy"].is_null());
}

TEST(Json, GivesSimilarity) {
    similarity::Similarity similarity;
    similarity.add(similarity::Kind::Ffn, 1, 1, 2);
    const auto parsed = json::parse(similarity_json(similarity));
    EXPECT_TRUE(parsed["layer"].empty());
    ASSERT_EQ(parsed["ffn"].size(), 1u);
    EXPECT_EQ(parsed["ffn"][0]["layer"], 1);
    EXPECT_EQ(parsed["ffn"][0]["cos_sim"], 0.5);
}

}  // namespace
}  // namespace assay::report
