#include "model/table_rows.h"

#include <gtest/gtest.h>

namespace assay::model {
namespace {

using Rows = std::vector<std::int32_t>;

constexpr std::int32_t kEnd = 2;

/// (7 a) xor (100 b) xor (10000 c) over tokens a, b, c from the last one back, from row 1000 on.
Lookup of_tokens(std::size_t n) {
    Lookup lookup{.row = Lookup::Row::Ngram, .ngram = {{7, 100, 10000}, kEnd, 1000, 1000000}};
    lookup.ngram.multipliers.resize(n);
    return lookup;
}

std::int32_t row(std::int32_t a, std::int32_t b, std::int32_t c) {
    return 1000 + ((7 * a) ^ (100 * b) ^ (10000 * c));
}

TEST(TableRows, FollowTokensAndPositions) {
    EXPECT_EQ(table_rows({}, Rows{5, 3, 5, 9}), (Rows{5, 3, 5, 9}));
    EXPECT_EQ(table_rows({.row = Lookup::Row::Position}, Rows{5, 3, 5, 9}), (Rows{0, 1, 2, 3}));
}

TEST(TableRows, MixTheTokensBeforeWithinAChunk) {
    EXPECT_EQ(table_rows(of_tokens(3), Rows{5, 6, 7, 8}),
              (Rows{row(5, kEnd, kEnd), row(6, 5, kEnd), row(7, 6, 5), row(8, 7, 6)}));
}

TEST(TableRows, SeeNothingBeforeAnEnd) {
    EXPECT_EQ(table_rows(of_tokens(3), Rows{5, 6, kEnd, 8, 9, 10}),
              (Rows{row(5, kEnd, kEnd), row(6, 5, kEnd), row(kEnd, 6, 5), row(8, kEnd, kEnd), row(9, 8, kEnd),
                    row(10, 9, 8)}));
}

TEST(TableRows, MixIn64BitsWithoutSign) {
    // 3 * (2^64 - 2) is -6 modulo 2^64, whose remainder by 1000 is 610 since 2^64 ends in 616.
    const Lookup lookup{.row = Lookup::Row::Ngram, .ngram = {{~std::uint64_t{0} - 1}, kEnd, 0, 1000}};
    EXPECT_EQ(table_rows(lookup, Rows{3}), Rows{610});
}

}  // namespace
}  // namespace assay::model
