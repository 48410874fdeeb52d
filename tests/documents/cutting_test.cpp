#include "documents/cutting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assay::documents {
namespace {

using testing::ElementsAre;

std::vector<Piece> cut_at(std::size_t n, std::vector<std::size_t> starts, std::size_t most,
                          std::size_t later) {
    return cut(n, starts, most, later);
}

TEST(Cut, LeavesWhole) {
    EXPECT_THAT(cut_at(8, {}, 8, 8), ElementsAre(Piece{0, 8}));
    EXPECT_THAT(cut_at(8, {3, 5}, 8, 7), ElementsAre(Piece{0, 8}));
}

TEST(Cut, EndsWhereTheLastMessageInReachBegins) {
    EXPECT_THAT(cut_at(20, {3, 7, 12}, 10, 10), ElementsAre(Piece{0, 7}, Piece{7, 5}, Piece{12, 8}));
    EXPECT_THAT(cut_at(20, {10}, 10, 10), ElementsAre(Piece{0, 10}, Piece{10, 10}));
}

TEST(Cut, LaterPiecesLeaveRoom) {
    // 10 would fit the first, but a later piece has a BOS before it.
    EXPECT_THAT(cut_at(20, {10}, 10, 9), ElementsAre(Piece{0, 10}, Piece{10, 5}, Piece{15, 5}));
}

TEST(Cut, LongMessagesGoInEqualPieces) {
    EXPECT_THAT(cut_at(11, {}, 10, 10), ElementsAre(Piece{0, 6}, Piece{6, 5}));
    // A message of 15 tokens between short ones.
    EXPECT_THAT(cut_at(22, {4, 19}, 10, 10),
                ElementsAre(Piece{0, 4}, Piece{4, 8}, Piece{12, 7}, Piece{19, 3}));
}

TEST(Cut, CoversWhateverTheStarts) {
    for (std::size_t n = 1; n < 40; ++n)
        for (std::size_t step = 1; step < 9; ++step) {
            std::vector<std::size_t> starts;
            for (std::size_t at = step; at < n; at += step) starts.push_back(at);
            std::size_t done = 0;
            for (const Piece& piece : cut(n, starts, 7, 6)) {
                EXPECT_EQ(piece.first, done);
                EXPECT_GT(piece.count, 0u);
                EXPECT_LE(piece.count, piece.first == 0 ? 7u : 6u);
                done += piece.count;
            }
            EXPECT_EQ(done, n);
        }
}

}  // namespace
}  // namespace assay::documents
