#include "quant/type_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "core/error.h"

namespace assay::quant {
namespace {

TEST(TypeTable, IsSortedAndComplete) {
    std::uint32_t last = 0;
    for (const TypeInfo& type : all_types()) {
        const auto id = static_cast<std::uint32_t>(type.id);
        EXPECT_TRUE(id == 0 || id > last) << type.name;
        last = id;
        EXPECT_EQ(find_type(id), &type);
        EXPECT_EQ(&type_info(type.id), &type);
        EXPECT_NE(type.decode, nullptr) << type.name;
        EXPECT_GT(type.block, 0u);
        EXPECT_GT(type.block_bytes, 0u);
        EXPECT_EQ(16 % type.group_rows, 0u) << type.name << ": steps of 16 rows are whole groups of any type";
    }
    EXPECT_EQ(all_types().size(), 84u);
}

TEST(TypeTable, KnowsNoRemovedOrForeignIds) {
    for (const std::uint32_t id :
         {4u,   5u,   31u,  32u,  33u,  36u,  37u,  38u,  43u,         97u,        132u,
          142u, 143u, 147u, 150u, 159u, 203u, 336u, 400u, 0x7fffffffu, 0xffffffffu})
        EXPECT_EQ(find_type(id), nullptr) << id;
    EXPECT_THROW((void)type_info(static_cast<TypeId>(4)), Error);
}

TEST(TypeTable, SpellsNamesAsQuantisersDo) {
    EXPECT_EQ(type_info(TypeId::Q4_K).name, "q4_K");
    EXPECT_EQ(type_info(TypeId::IQ2_XXS).name, "iq2_xxs");
    EXPECT_EQ(type_info(TypeId::BF16).name, "bf16");
    EXPECT_EQ(type_info(TypeId::IQ4_KSS).name, "iq4_kss");
    EXPECT_EQ(type_info(TypeId::Q8_KV_R8).name, "q8_KV_r8");
}

TEST(RowBytes, CountsBlocks) {
    EXPECT_EQ(row_bytes(type_info(TypeId::Q6_K), 512), 420u);
    EXPECT_EQ(row_bytes(type_info(TypeId::NVFP4), 64), 36u);
    EXPECT_EQ(row_bytes(type_info(TypeId::F64), 3), 24u);
    EXPECT_EQ(row_bytes(type_info(TypeId::Q4_0), 0), 0u);
    EXPECT_EQ(row_bytes(type_info(TypeId::IQ4_KS), 512), 276u);  // a float before the row's blocks
    EXPECT_EQ(row_bytes(type_info(TypeId::IQ1_M_R4), 64), 16u);  // a row's share of four
}

TEST(RowBytes, RefusesPartOfABlock) {
    try {
        (void)row_bytes(type_info(TypeId::Q4_K), 300);
        FAIL() << "300 weights are no whole number of q4_K blocks";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Shape);
        EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("q4_K"), testing::HasSubstr("300")));
    }
}

TEST(RowBytes, RefusesSizesPast64Bits) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    EXPECT_EQ(row_bytes(type_info(TypeId::I8), kMax), kMax);
    EXPECT_THROW((void)row_bytes(type_info(TypeId::F64), kMax), Error);
    EXPECT_EQ(row_bytes(type_info(TypeId::F64), kMax / 8), kMax / 8 * 8);
    EXPECT_THROW((void)row_bytes(type_info(TypeId::F64), kMax / 8 + 1), Error);
    // With bytes before the blocks: the last size that fits, and one block more.
    const TypeInfo with_row_scale{TypeId::F32, "row scale", 1, 2, 4, nullptr};
    EXPECT_EQ(row_bytes(with_row_scale, (kMax - 4) / 2), kMax - 1);
    EXPECT_THROW((void)row_bytes(with_row_scale, (kMax - 4) / 2 + 1), Error);
}

}  // namespace
}  // namespace assay::quant
