#include "gguf/job_memory.h"

#include <gtest/gtest.h>
#include <random>

namespace assay::gguf {
namespace {

/// Runs as they are placed and freed.
struct Ring {
    std::optional<std::uint64_t> place(std::uint64_t bytes) {
        const bool empty = runs.empty();
        const auto run =
            place_run(size, empty ? nullptr : &runs.front(), empty ? nullptr : &runs.back(), bytes);
        if (!run) return std::nullopt;
        runs.push_back(*run);
        return run->begin % size;
    }
    void release() { runs.pop_front(); }

    std::uint64_t size;
    std::deque<RingRun> runs{};
};

TEST(PlaceRun, BehindEachOtherAndThenAtTheStart) {
    Ring ring{10};
    EXPECT_EQ(ring.place(4), 0);
    EXPECT_EQ(ring.place(4), 4);
    EXPECT_EQ(ring.place(3), std::nullopt) << "two are left at the end, none at the start";
    EXPECT_EQ(ring.place(0), 8);
    ring.release();
    EXPECT_EQ(ring.place(5), std::nullopt);
    EXPECT_EQ(ring.place(3), 0);
    EXPECT_EQ(ring.place(1), 3);
    EXPECT_EQ(ring.place(1), std::nullopt) << "the oldest begins there";
    for (int i = 0; i < 4; ++i) ring.release();
    EXPECT_EQ(ring.place(11), std::nullopt);
    EXPECT_EQ(ring.place(10), 0);
}

TEST(PlaceRun, NeverOverlaps) {
    constexpr std::uint64_t kSize = 100;
    Ring ring{kSize};
    std::deque<std::pair<std::uint64_t, std::uint64_t>> held;
    std::mt19937 random(1);
    int placed = 0;
    for (int step = 0; step < 10000; ++step) {
        const std::uint64_t bytes = random() % 60;
        if (const auto begin = ring.place(bytes)) {
            ++placed;
            ASSERT_LE(*begin + bytes, kSize);
            for (const auto& [first, end] : held) ASSERT_TRUE(*begin + bytes <= first || end <= *begin);
            held.emplace_back(*begin, *begin + bytes);
        } else {
            ASSERT_FALSE(held.empty());
            ring.release();
            held.pop_front();
        }
    }
    EXPECT_GT(placed, 4000);
}

}  // namespace
}  // namespace assay::gguf
