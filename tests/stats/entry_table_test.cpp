#include "stats/entry_table.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::stats {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

imatrix::Matrix with(std::initializer_list<std::string> names) {
    imatrix::Matrix matrix;
    for (const std::string& name : names) matrix.entries[name] = {2, {1, 1}, {1, 0}, {1}};
    return matrix;
}

EntryTable table_of(const imatrix::Matrix& matrix) {
    imatrix::Notes notes;
    return entry_table(matrix, notes);
}

TEST(EntryTable, SortsByBlockAndShortName) {
    std::vector<std::string> names;
    for (const auto& row : table_of(with({"blk.10.a.weight", "blk.2.indexer.k.weight", "blk.2.z.weight",
                                          "output.weight", "token_embd.weight", "blk.2.attn_output.weight"}))
                               .rows)
        names.push_back(row.name);
    EXPECT_THAT(names, ElementsAre("blk.2.attn_output.weight", "blk.2.z.weight", "blk.2.indexer.k.weight",
                                   "blk.10.a.weight", "token_embd.weight", "output.weight"));
}

TEST(EntryTable, AddsUpBlocks) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {2, {9, 1}, {3, 1}, {1}};
    matrix.entries["blk.1.a.weight"] = {2, {1, 4}, {1, 2}, {1}};
    matrix.entries["blk.0.b.weight"] = {1, {4}, {2}, {1}};
    matrix.entries["blk.1.b.weight"] = {1, {16}, {4}, {1}};
    matrix.entries["blk.1.new.weight"] = {1, {100}, {10}, {1}};
    matrix.entries["output.weight"] = {1, {7}, {1}, {1}};
    matrix.entries["token_embd.weight"] = {1, {5}, {1}, {1}};
    imatrix::Notes notes;
    const EntryTable table = entry_table(matrix, notes);
    EXPECT_THAT(notes,
                ElementsAre("compute_tensor_statistics: no preceding-layer tensor for 'blk.1.new.weight'"));
    ASSERT_EQ(table.blocks.size(), 3u);
    EXPECT_EQ(table.n_blocks(), 2u);
    EXPECT_EQ(table.blocks[0].sum_sq, 14);
    EXPECT_TRUE(std::isnan(table.blocks[0].gain));
    const BlockRow& row = table.blocks[1];
    EXPECT_EQ(row.sum_sq, 121);
    EXPECT_FLOAT_EQ(row.gain, std::sqrt(21.0f / 14));  // three columns each
    EXPECT_FLOAT_EQ(row.l2_dist, 3);                   // 2, 1 and 2
    EXPECT_FLOAT_EQ(row.cossim, 13 / std::sqrt(21.0f * 14));
    EXPECT_FLOAT_EQ(row.pearson, -1);  // of a alone: its means are its own, and b has one column
    EXPECT_FLOAT_EQ(row.covariance, -1.0f / 3);
    EXPECT_EQ(table.blocks[2].block, std::nullopt);
    EXPECT_EQ(table.blocks[2].sum_sq, 7) << "token_embd is no output";
}

TEST(EntryTable, LeavesZerosOutOfBlocks) {
    imatrix::Matrix matrix;
    matrix.entries["blk.0.a.weight"] = {1, {0}, {0}, {1}};
    matrix.entries["blk.1.a.weight"] = {1, {0}, {0}, {1}};
    EXPECT_TRUE(std::isnan(table_of(matrix).blocks[1].l2_dist));
    matrix.entries["blk.1.a.weight"] = {1, {4}, {2}, {1}};
    EXPECT_EQ(table_of(matrix).blocks[1].l2_dist, 2);
    EXPECT_TRUE(std::isnan(table_of(matrix).blocks[1].gain)) << "from nothing";
}

TEST(EntryTable, TellsOfMissingBlocks) {
    EXPECT_THAT(table_of(with({"blk.3.a.weight", "blk.4.a.weight"})).gap, IsEmpty());
    EXPECT_THAT(table_of(with({"output.weight"})).gap, IsEmpty());
    imatrix::Matrix matrix = with({"blk.1.a.weight", "blk.2.a.weight", "blk.5.a.weight"});
    EXPECT_EQ(table_of(matrix).gap,
              "show_statistics: layer sequence gap detected (found 3 layers in range 1-5, expected 5); layer "
              "statistics will not be shown");
    matrix.n_layer_nextn = 1;  // that is block 5: the trunk has no hole
    EXPECT_THAT(table_of(matrix).gap, IsEmpty());
}

TEST(EntryTable, TellsOfSumsThatOnlySomeEntriesHave) {
    imatrix::Matrix matrix = with({"blk.0.a.weight", "blk.0.b.weight"});
    EXPECT_TRUE(table_of(matrix).plain_sums);
    matrix.entries["blk.0.a.weight"].sum.clear();
    imatrix::Notes notes;
    EXPECT_FALSE(entry_table(matrix, notes).plain_sums);
    EXPECT_THAT(notes, ElementsAre("show_statistics: 1 of 2 tensors have no activation data, using the "
                                   "legacy layout"));
    matrix.entries["blk.0.b.weight"].sum.clear();
    notes.clear();
    EXPECT_FALSE(entry_table(matrix, notes).plain_sums);
    EXPECT_THAT(notes, IsEmpty());
}

}  // namespace
}  // namespace assay::stats
