#include "recipe/guide.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::recipe {
namespace {

using quant::TypeId;
using testing::Each;
using testing::FloatEq;

const std::vector<float> kRow(256, 2.0f);
const std::vector<float> kImportance(256, 3.0f);

TEST(Guide, WeighsImportanceByTheSizeOfTheWeight) {
    std::vector<float> guide;
    const float* found = quantiser_guide(TypeId::Q4_0, kRow, kImportance, guide);
    ASSERT_EQ(found, guide.data());
    EXPECT_THAT(guide, Each(FloatEq(3.0f * std::sqrt(4.0f + 4.0f))));
    quantiser_guide(TypeId::Q4_K, kRow, kImportance, guide);
    EXPECT_THAT(guide, Each(FloatEq(3.0f * std::sqrt(8.0f + 4.0f))));
    EXPECT_EQ(quantiser_guide(TypeId::Q6_K, kRow, kImportance, guide), kImportance.data());
}

TEST(Guide, TakesTheMeanOverTheSpanOfTheType) {
    std::vector<float> row = kRow, guide;
    for (std::size_t j = 0; j < 32; ++j) row[j] = 0.0f;
    quantiser_guide(TypeId::IQ4_NL, row, kImportance, guide);
    EXPECT_EQ(guide[0], 0.0f);
    quantiser_guide(TypeId::IQ4_XS, row, kImportance, guide);
    EXPECT_FLOAT_EQ(guide[0], 3.0f * std::sqrt(2.0f * 4.0f * 224 / 256));
}

TEST(Guide, IsThePlainFormulaWhereTheQuantiserDoesNotSearch) {
    std::vector<float> guide;
    EXPECT_EQ(quantiser_guide(TypeId::Q8_0, kRow, kImportance, guide), nullptr);
    EXPECT_EQ(quantiser_guide(TypeId::F16, kRow, kImportance, guide), nullptr);
    for (const TypeId type : {TypeId::Q4_0, TypeId::Q4_1, TypeId::Q5_0, TypeId::Q5_1})
        EXPECT_EQ(quantiser_guide(type, kRow, {}, guide), nullptr);
}

TEST(Guide, WithoutDataFollowsTheWeightsAlone) {
    std::vector<float> guide;
    quantiser_guide(TypeId::Q6_K, kRow, {}, guide);
    EXPECT_THAT(guide, Each(FloatEq(4.0f)));
    quantiser_guide(TypeId::Q2_K, kRow, {}, guide);
    EXPECT_THAT(guide, Each(FloatEq(2.0f)));
    quantiser_guide(TypeId::Q5_K, kRow, {}, guide);
    EXPECT_THAT(guide, Each(FloatEq(4.0f)));
}

}  // namespace
}  // namespace assay::recipe
