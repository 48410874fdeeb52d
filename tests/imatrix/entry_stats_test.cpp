#include "imatrix/entry_stats.h"

#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gguf/file.h"
#include "sample.h"

namespace assay::imatrix {
namespace {

using testing::IsNan;

/// Means of x^2 1, 1, 2, 4 and of x 1, 2, 3, 4.
Entry first() { return {4, {2, 2, 4, 8}, {2, 4, 6, 8}, {2}}; }
/// 2, 2, 4, 8 and 2, 2, 3, 5.
Entry second() { return {4, {8, 8, 16, 32}, {8, 8, 12, 20}, {4}}; }

EntryStats stats_of(const Matrix& matrix, const std::string& name) {
    for (const EntryStats& entry : matrix_stats(matrix).entries)
        if (entry.name == name) return entry;
    ADD_FAILURE() << name;
    return {};
}

TEST(EntryStats, DescribesAnEntryByItself) {
    Matrix matrix;
    matrix.entries["blk.0.attn_q.weight"] = first();
    const EntryStats s = stats_of(matrix, "blk.0.attn_q.weight");
    EXPECT_EQ(s.energy, 8);
    EXPECT_EQ(s.mean, 2.5f);
    EXPECT_EQ(s.elements, 4u);
    EXPECT_EQ(s.std_deviation, std::sqrt(1.25f));
    EXPECT_EQ(s.skewness, 0);
    EXPECT_FLOAT_EQ(s.kurtosis, 2.5625f / 1.5625f - 3);  // deviations 1.5, 0.5, 0.5, 1.5
    EXPECT_EQ(s.h_norm, 87.5f);                          // shares 1/8, 1/8, 1/4, 1/2: 1.75 of 2 bits
    for (const float relation : {s.gain, s.l2_dist, s.cossim, s.pearson, s.covariance})
        EXPECT_THAT(relation, IsNan());
    EXPECT_FALSE(s.lacks_preceding);
}

TEST(EntryStats, TakesSquaresWhereTheSumsAreNotKnown) {
    Matrix matrix;
    matrix.entries["a"] = first();
    matrix.entries["a"].sum.clear();
    const EntryStats s = stats_of(matrix, "a");
    EXPECT_EQ(s.mean, 2);
    EXPECT_EQ(s.std_deviation, std::sqrt(1.5f));
    EXPECT_FLOAT_EQ(s.skewness, static_cast<float>(1.5 / std::pow(1.5, 1.5)));  // cubes -1, -1, 0, 8
    EXPECT_FALSE(s.has_sums);
}

TEST(EntryStats, ComparesWithTheNearestEarlierBlock) {
    Matrix matrix;
    matrix.entries["blk.1.attn_q.weight"] = first();
    matrix.entries["blk.3.attn_q.weight"] = second();
    matrix.entries["blk.3.attn_k.weight"] = second();
    const EntryStats s = stats_of(matrix, "blk.3.attn_q.weight");
    EXPECT_FLOAT_EQ(s.gain, std::sqrt(2.0f));     // 16 over 8
    EXPECT_FLOAT_EQ(s.l2_dist, std::sqrt(2.0f));  // 1, 0, 0, 1
    EXPECT_FLOAT_EQ(s.cossim, 35 / std::sqrt(42.0f * 30));
    EXPECT_FLOAT_EQ(s.pearson, 5 / std::sqrt(30.0f));  // -1, -1, 0, 2 and -1.5, -0.5, 0.5, 1.5
    EXPECT_EQ(s.covariance, 1.25f);
    EXPECT_TRUE(stats_of(matrix, "blk.3.attn_k.weight").lacks_preceding);
    EXPECT_TRUE(stats_of(matrix, "blk.1.attn_q.weight").lacks_preceding);

    matrix.entries["blk.1.attn_q.weight"].sum.clear();  // then both give their squares: 2, 2, 4, 8 and half
    EXPECT_FLOAT_EQ(stats_of(matrix, "blk.3.attn_q.weight").l2_dist, std::sqrt(1.0f + 1 + 4 + 16));
    EXPECT_EQ(stats_of(matrix, "blk.3.attn_q.weight").cossim, 1);
}

TEST(EntryStats, LeavesOutMatricesWithoutRows) {
    Matrix matrix;
    matrix.entries["blk.0.e.weight"] = {2, {1, 1, 0, 0, 9, 16}, {1, 1, 0, 0, 3, 4}, {1, 0, 1}};
    matrix.entries["blk.1.e.weight"] = {2, {0, 0, 4, 4, 4, 9}, {0, 0, 4, 4, 2, 3}, {0, 4, 1}};
    const EntryStats s = stats_of(matrix, "blk.1.e.weight");
    EXPECT_EQ(s.elements, 4u);
    EXPECT_EQ(s.energy, 15);
    EXPECT_EQ(s.l2_dist, std::sqrt(2.0f));  // only the third: 2, 3 and 3, 4
    EXPECT_FLOAT_EQ(s.gain, std::sqrt(15.0f / 27));
    EXPECT_EQ(s.covariance, 0.25f);
}

TEST(EntryStats, OfNoDataAreZeros) {
    Matrix matrix;
    matrix.entries["blk.0.e.weight"] = {2, {1, 1}, {1, 1}, {1}};
    matrix.entries["blk.1.e.weight"] = {2, {0, 0}, {0, 0}, {0}};
    matrix.entries["blk.2.e.weight"] = {2, {4, 4}, {2, 2}, {1}};
    EXPECT_EQ(stats_of(matrix, "blk.1.e.weight").numbers(), (std::array<float, 12>{}));
    EXPECT_EQ(stats_of(matrix, "blk.2.e.weight").gain, 2) << "block 1 is skipped";
}

TEST(EntryStats, KnowsWhereNothingCorresponds) {
    Matrix matrix;
    matrix.entries["blk.0.zero.weight"] = {1, {0}, {0}, {1}};
    matrix.entries["blk.1.zero.weight"] = {1, {0}, {0}, {1}};
    matrix.entries["blk.2.zero.weight"] = {1, {4}, {2}, {1}};
    matrix.entries["blk.0.size.weight"] = {1, {4}, {2}, {1}};
    matrix.entries["blk.1.size.weight"] = {2, {4, 4}, {2, 2}, {1}};
    const EntryStats zeros = stats_of(matrix, "blk.1.zero.weight");
    EXPECT_EQ(zeros.gain, 1);
    EXPECT_THAT(zeros.cossim, IsNan());
    EXPECT_THAT(zeros.covariance, IsNan()) << "of one column";
    EXPECT_THAT(zeros.h_norm, IsNan());
    const EntryStats from_zero = stats_of(matrix, "blk.2.zero.weight");
    EXPECT_THAT(from_zero.gain, IsNan());
    EXPECT_EQ(from_zero.cossim, 0);
    const EntryStats other_size = stats_of(matrix, "blk.1.size.weight");
    EXPECT_THAT(other_size.gain, IsNan());
    EXPECT_THAT(other_size.l2_dist, IsNan());
    EXPECT_FALSE(other_size.lacks_preceding);
}

TEST(MatrixStats, FindsTheBlocksThatPredictAhead) {
    Matrix matrix;
    for (const char* name : {"blk.0.a.weight", "blk.1.a.weight", "blk.2.a.weight", "blk.3.a.weight"})
        matrix.entries[name] = first();
    EXPECT_EQ(matrix_stats(matrix).first_nextn, std::nullopt);
    matrix.n_layer_nextn = 2;
    EXPECT_EQ(matrix_stats(matrix).first_nextn, 2);
    EXPECT_EQ(stats_of(matrix, "blk.2.a.weight").preceding, std::nullopt);
    EXPECT_FALSE(stats_of(matrix, "blk.2.a.weight").lacks_preceding);
    EXPECT_EQ(stats_of(matrix, "blk.3.a.weight").preceding, 2u);
    matrix.entries.erase("blk.2.a.weight");
    EXPECT_TRUE(stats_of(matrix, "blk.3.a.weight").lacks_preceding) << "block 1 is the trunk's";
    matrix.n_layer_nextn = 9;
    EXPECT_EQ(matrix_stats(matrix).first_nextn, 0);
    matrix.n_layer_nextn = 0;
    matrix.entries["blk.3.nextn.eh_proj.weight"] = first();
    EXPECT_EQ(matrix_stats(matrix).first_nextn, 3);
}

// The stored numbers are of the sums as the file holds them, so they are those of the file read again.
TEST(StoredStats, AreThoseOfTheFile) {
    Matrix matrix = sample();
    matrix.entries.at("blk.0.attn_q.weight").sum_sq = {1.0 / 3, 1e7 + 0.1, 0};
    matrix.n_layer_nextn = 1;
    Notes notes;
    const auto bytes = serialise(matrix, Format::Gguf, notes);
    const auto header = gguf::parse_header(bytes, "m");
    const gguf::Strings* schema = header.metadata.find_strings("imatrix.stats_schema");
    ASSERT_NE(schema, nullptr);
    EXPECT_THAT(*schema, testing::ElementsAreArray(kStatNames));
    const Matrix back = parse(bytes, "m", {}, notes);
    for (const gguf::Tensor& tensor : header.tensors) {
        if (!tensor.name.ends_with(".stats")) continue;
        ASSERT_EQ(tensor.shape_text(), "[12]");
        std::array<float, 12> stored{};
        std::memcpy(stored.data(), bytes.data() + tensor.offset_bytes, sizeof(stored));
        const auto numbers = stats_of(back, tensor.name.substr(0, tensor.name.size() - 6)).numbers();
        EXPECT_EQ(std::memcmp(stored.data(), numbers.data(), sizeof(stored)), 0) << tensor.name;
    }
    EXPECT_EQ(serialise(back, Format::Gguf, notes), bytes);
}

}  // namespace
}  // namespace assay::imatrix
