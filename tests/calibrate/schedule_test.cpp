#include "calibrate/schedule.h"

#include <gtest/gtest.h>

namespace assay::calibrate {
namespace {

std::vector<std::int64_t> ends(const std::vector<WaveEnd>& waves) {
    std::vector<std::int64_t> result;
    for (const WaveEnd& wave : waves) result.push_back(wave.chunks_done);
    return result;
}

auto at_most(std::int64_t n) {
    return [n](std::int64_t) { return n; };
}

TEST(Schedule, CutsIntoWavesAndSavesAtTheEnd) {
    const auto waves = schedule(10, at_most(4), {.save_every = 0});
    EXPECT_EQ(ends(waves), (std::vector<std::int64_t>{4, 8, 10}));
    EXPECT_FALSE(waves[0].save);
    EXPECT_FALSE(waves[1].save);
    EXPECT_TRUE(waves[2].save);
}

TEST(Schedule, SavesAtTheFirstWaveEndBehindAMultiple) {
    const auto waves = schedule(20, at_most(6), {.save_every = 5});
    EXPECT_EQ(ends(waves), (std::vector<std::int64_t>{6, 12, 18, 20}));
    for (const WaveEnd& wave : waves) EXPECT_TRUE(wave.save) << wave.chunks_done;
    const auto rare = schedule(20, at_most(6), {.save_every = 13});
    EXPECT_FALSE(rare[1].save);
    EXPECT_TRUE(rare[2].save);
}

TEST(Schedule, BindingSavesAndSnapshotsEndWaves) {
    const auto waves =
        schedule(12, at_most(8), {.save_every = 5, .save_every_binding = true, .snapshot_every = 3});
    EXPECT_EQ(ends(waves), (std::vector<std::int64_t>{3, 5, 6, 9, 10, 12}));
    EXPECT_TRUE(waves[0].snapshot);
    EXPECT_FALSE(waves[0].save);
    EXPECT_TRUE(waves[1].save);
    EXPECT_FALSE(waves[1].snapshot);
    EXPECT_TRUE(waves[5].snapshot);
    EXPECT_TRUE(waves[5].save);
}

TEST(Schedule, SnapshotsCountWhatWasThereBefore) {
    const auto waves = schedule(12, at_most(8), {.save_every = 0, .snapshot_every = 5, .chunks_before = 7});
    EXPECT_EQ(ends(waves), (std::vector<std::int64_t>{3, 8, 12}));
    EXPECT_TRUE(waves[0].snapshot);
    EXPECT_TRUE(waves[1].snapshot);
    EXPECT_FALSE(waves[2].snapshot);
}

TEST(Schedule, NothingToDoHasNoWaves) { EXPECT_TRUE(schedule(0, at_most(8), {}).empty()); }

}  // namespace
}  // namespace assay::calibrate
