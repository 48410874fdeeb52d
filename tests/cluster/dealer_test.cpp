// Shares follow speeds, and every chunk is dealt once.
#include "cluster/dealer.h"

#include <gtest/gtest.h>
#include <random>

namespace assay::cluster {
namespace {

TEST(DoneChunks, JoinAndShowGaps) {
    DoneChunks done;
    EXPECT_EQ(done.prefix(), 0);
    EXPECT_EQ(done.gap(0, 10), (Range{0, 10}));
    done.add({4, 2});
    EXPECT_EQ(done.prefix(), 0);
    EXPECT_EQ(done.gap(0, 10), (Range{0, 4}));
    EXPECT_EQ(done.gap(4, 10), (Range{6, 4}));
    EXPECT_EQ(done.gap(4, 6), std::nullopt);
    done.add({8, 2});
    done.add({0, 4});
    EXPECT_EQ(done.prefix(), 6);
    EXPECT_EQ(done.gap(0, 10), (Range{6, 2}));
    done.add({5, 4});
    EXPECT_EQ(done.ranges(), (std::vector<Range>{{0, 10}}));
    EXPECT_EQ(done.gap(0, 10), std::nullopt);
    EXPECT_EQ(done.count(), 10);
}

/// Of 100 chunks, each of 10 tokens.
std::vector<std::int64_t> equal_starts() {
    std::vector<std::int64_t> starts;
    for (std::int64_t chunk = 0; chunk <= 100; ++chunk) starts.push_back(10 * chunk);
    return starts;
}
const std::vector<std::int64_t> kStarts = equal_starts();

TEST(Dealer, EqualRanksReadTheModelOnce) {
    Dealer dealer({1000, 1000, 1000});
    dealer.begin({0, 20}, kStarts);
    EXPECT_EQ(dealer.next(1), (Range{0, 7}));
    EXPECT_EQ(dealer.next(2), (Range{7, 7}));
    EXPECT_EQ(dealer.next(0), (Range{14, 6}));
    EXPECT_EQ(dealer.next(0), std::nullopt);
}

TEST(Dealer, FasterRanksGetMore) {
    Dealer dealer({1000, 1000, 1000});
    dealer.begin({0, 60}, kStarts);
    dealer.measured(0, {0, 30}, 1);
    dealer.measured(1, {30, 10}, 1);  // and rank 2 counts as 20
    EXPECT_EQ(dealer.next(0)->count, 30);
    EXPECT_EQ(dealer.next(1)->count, 10);
    EXPECT_EQ(dealer.next(2)->count, 20);
}

TEST(Dealer, NoWaveIsLongerThanARankCanTake) {
    Dealer dealer({49, 80});
    dealer.begin({0, 20}, kStarts);
    EXPECT_EQ(dealer.next(0), (Range{0, 4}));
    EXPECT_EQ(dealer.next(1), (Range{4, 8}));
    EXPECT_EQ(dealer.next(0), (Range{12, 4}));
    EXPECT_EQ(dealer.next(1), (Range{16, 4}));
    EXPECT_EQ(dealer.next(1), std::nullopt);
}

TEST(Dealer, SharesAreOfTokens) {
    //                                     1 long, 4 short, 1 long, 2 short
    const std::vector<std::int64_t> starts{0, 80, 90, 100, 110, 120, 200, 210, 220};
    Dealer dealer({1000, 1000});
    dealer.begin({0, 8}, starts);
    EXPECT_EQ(dealer.next(0), (Range{0, 4})) << "110 of 220 tokens";
    EXPECT_EQ(dealer.next(1), (Range{4, 4}));
    dealer.measured(0, {0, 1}, 1);
    dealer.measured(1, {1, 4}, 1);  // more chunks, half the tokens
    dealer.begin({0, 8}, starts);
    EXPECT_EQ(dealer.next(1), (Range{0, 1})) << "a third, and a chunk at least";
    EXPECT_EQ(dealer.next(0), (Range{1, 7}));
    Dealer small({79, 85});
    small.begin({0, 8}, starts);
    EXPECT_EQ(small.next(0), (Range{0, 1})) << "one, however long";
    EXPECT_EQ(small.next(1), (Range{1, 4})) << "no more than its wave has";
}

TEST(Dealer, EveryChunkIsDealtOnce) {
    std::mt19937 random(20261127);
    for (int round = 0; round < 200; ++round) {
        const std::size_t n = 1 + random() % 7;
        std::vector<std::int64_t> longest(n);
        for (std::int64_t& length : longest) length = 10 + random() % 90;
        Dealer dealer(longest);
        DoneChunks done;
        std::int64_t expected = 100;
        dealer.begin({0, 100}, kStarts);
        while (true) {
            const std::size_t rank = random() % n;
            dealer.measured(rank, {0, 1}, 1 + random() % 5);
            const auto range = dealer.next(rank);
            if (!range) break;
            EXPECT_LE(10 * range->count, longest[rank]);
            const std::int64_t before = done.count();
            done.add(*range);
            EXPECT_EQ(done.count(), before + range->count) << "some were dealt before";
            expected -= range->count;
        }
        EXPECT_EQ(expected, 0);
        EXPECT_EQ(done.prefix(), 100);
    }
}

}  // namespace
}  // namespace assay::cluster
