#include "calibrate/memory.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace assay::calibrate {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr MemoryNeeds kNeeds{.file_bytes = 1000 * kMiB,
                             .weight_bytes = 50 * kMiB,
                             .all_weight_bytes = 2000 * kMiB,
                             .workspace_bytes = 20 * kMiB,
                             .bytes_per_chunk = 4 * kMiB};

TEST(PlanWaves, AModelThatFitsRunsInShortWaves) {
    const WavePlan plan = plan_waves(kNeeds, {8000 * kMiB, {}}, {.n_chunks = 500, .resident_chunks = 10});
    EXPECT_FALSE(plan.streamed);
    EXPECT_EQ(plan.wave_chunks, 10);
    EXPECT_LE(plan.host_bytes, 8000 * kMiB);
}

TEST(PlanWaves, AStreamedModelTakesTheLongestWave) {
    const WavePlan plan = plan_waves(kNeeds, {600 * kMiB, {}}, {.n_chunks = 500, .resident_chunks = 10});
    EXPECT_TRUE(plan.streamed);
    EXPECT_GT(plan.wave_chunks, 90);
    EXPECT_LE(plan.host_bytes, 600 * kMiB);
    EXPECT_GT(plan.host_bytes + kNeeds.bytes_per_chunk, 600 * kMiB);  // not one chunk more would fit
}

TEST(PlanWaves, AModelThatLeavesRoomForShortWavesOnlyIsStreamed) {
    MemoryNeeds needs = kNeeds;
    needs.stream_bytes = 100 * kMiB;
    const WaveRules rules{.n_chunks = 500, .resident_chunks = 10};
    const std::uint64_t enough = (48 + 50 + 20 + 1000 + 10 * 4) * kMiB;
    EXPECT_FALSE(plan_waves(needs, {enough, {}}, rules).streamed);
    const WavePlan plan = plan_waves(needs, {enough - 1, {}}, rules);
    EXPECT_TRUE(plan.streamed);
    EXPECT_GT(plan.wave_chunks, 200);
    EXPECT_FALSE(plan_waves(needs, {enough - 1, {}}, {.n_chunks = 500, .wave_chunks = 9}).streamed);
    EXPECT_FALSE(plan_waves(needs, {enough - 1, {}}, {.n_chunks = 9}).streamed);
}

TEST(PlanWaves, NeverMoreChunksThanThereAre) {
    EXPECT_EQ(plan_waves(kNeeds, {600 * kMiB, {}}, {.n_chunks = 7, .resident_chunks = 10}).wave_chunks, 7);
    EXPECT_EQ(plan_waves(kNeeds, {8000 * kMiB, {}}, {.n_chunks = 7, .resident_chunks = 10}).wave_chunks, 7);
}

TEST(PlanWaves, StreamedWeightsTakeRoomOfTheirOwn) {
    MemoryNeeds needs = kNeeds;
    needs.stream_bytes = 100 * kMiB;
    const WaveRules rules{.n_chunks = 500};
    EXPECT_EQ(plan_waves(needs, {600 * kMiB, {}}, rules).wave_chunks,
              plan_waves(kNeeds, {500 * kMiB, {}}, rules).wave_chunks);
    EXPECT_EQ(plan_waves(needs, {8000 * kMiB, {}}, rules).host_bytes,
              plan_waves(kNeeds, {8000 * kMiB, {}}, rules).host_bytes);
}

TEST(PlanWaves, SpilledStatesMakeOneWave) {
    const WavePlan plan = plan_waves(kNeeds, {600 * kMiB, {}}, {.n_chunks = 500, .may_spill = true});
    EXPECT_EQ(plan.wave_chunks, 500);
    EXPECT_EQ(plan.spilled_bytes, 2000 * kMiB);
    EXPECT_LE(plan.host_bytes, 600 * kMiB);
    EXPECT_EQ(plan_waves(kNeeds, {600 * kMiB, {}}, {.n_chunks = 50, .may_spill = true}).spilled_bytes, 0u);
    EXPECT_EQ(plan_waves(kNeeds, {8000 * kMiB, {}}, {.n_chunks = 5000, .may_spill = true}).spilled_bytes, 0u);
}

TEST(PlanWaves, ADeviceKeepsWeightsThatFitBesideAWave) {
    const WaveRules rules{.n_chunks = 500, .resident_chunks = 100};
    const std::uint64_t enough = (2000 + 20 + 100 * 4) * kMiB;
    const WavePlan kept = plan_waves(kNeeds, {8000 * kMiB, enough}, rules);
    EXPECT_TRUE(kept.weights_kept);
    EXPECT_EQ(kept.wave_chunks, 100);
    EXPECT_EQ(kept.device_bytes, enough);
    EXPECT_FALSE(plan_waves(kNeeds, {8000 * kMiB, enough - 1}, rules).weights_kept);
    EXPECT_FALSE(plan_waves(kNeeds, {8000 * kMiB, {}}, rules).weights_kept);
}

TEST(PlanWaves, RefusesABoundThatHoldsNoChunk) {
    try {
        plan_waves(kNeeds, {100 * kMiB, {}}, {.n_chunks = 7, .resident_chunks = 10});
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Usage);
        EXPECT_NE(std::string(error.what()).find("100 MiB are too few"), std::string::npos) << error.what();
    }
}

TEST(PlanWaves, ADeviceHoldsAllButTheFile) {
    const WavePlan plan =
        plan_waves(kNeeds, {1200 * kMiB, 200 * kMiB}, {.n_chunks = 500, .resident_chunks = 100});
    EXPECT_FALSE(plan.streamed);
    EXPECT_EQ(plan.wave_chunks, 32);  // (200 - 50 - 20) / 4
    EXPECT_EQ(plan.device_bytes, (50 + 20 + 32 * 4) * kMiB);
    EXPECT_GE(plan.host_bytes, kNeeds.file_bytes);
    EXPECT_LE(plan.host_bytes, 1200 * kMiB);
    EXPECT_EQ(
        plan_waves(kNeeds, {1200 * kMiB, 1990 * kMiB}, {.n_chunks = 500, .resident_chunks = 100}).wave_chunks,
        100);
}

TEST(PlanWaves, WithoutRoomForTheFileADeviceTakesTheLongestWave) {
    const WavePlan plan =
        plan_waves(kNeeds, {900 * kMiB, 1000 * kMiB}, {.n_chunks = 500, .resident_chunks = 100});
    EXPECT_TRUE(plan.streamed);
    EXPECT_EQ(plan.wave_chunks, 232);
    EXPECT_LT(plan.host_bytes, 900 * kMiB);
}

TEST(PlanWaves, NamesTheOptionOfADeviceThatHoldsNoChunk) {
    try {
        plan_waves(kNeeds, {8000 * kMiB, 73 * kMiB}, {.n_chunks = 7, .resident_chunks = 10});
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.where(), "--device-memory");
        EXPECT_NE(std::string(error.what()).find("74 MiB"), std::string::npos) << error.what();
    }
}

TEST(DefaultMemoryBound, IsPositiveAndNoMoreThanTheAddressSpace) {
    EXPECT_GT(default_memory_bound(), kMiB);
    EXPECT_LT(default_memory_bound(), std::uint64_t{1} << 60);
}

TEST(PlanSweeps, AllVariantsGoTogetherWhileTheyFit) {
    const SweepPlan plan = plan_sweeps(kNeeds, {8000 * kMiB, {}}, 20, 9);
    EXPECT_EQ(plan.wave_chunks, 20);
    EXPECT_EQ(plan.variants, 9);
    EXPECT_EQ(plan.n_sweeps, 1);
    EXPECT_EQ(plan.host_bytes, (48 + 50 + 20 + 1000 + 20 * 10 * 4) * kMiB);
}

TEST(PlanSweeps, ReadsAgainForMoreChunksBeforeMoreVariants) {
    // 118 are fixed; 3 chunks of 10 need 120, 4 would need 160.
    const SweepPlan plan = plan_sweeps(kNeeds, {(118 + 159) * kMiB, {}}, 20, 9);
    EXPECT_EQ(plan.wave_chunks, 3);
    EXPECT_EQ(plan.variants, 9);
    EXPECT_EQ(plan.n_sweeps, 7);
    const SweepPlan less = plan_sweeps(kNeeds, {(118 + 5 * 4) * kMiB, {}}, 20, 9);
    EXPECT_EQ(less.wave_chunks, 1);
    EXPECT_EQ(less.variants, 4);
    EXPECT_EQ(less.n_sweeps, 20 * 3);
    EXPECT_LE(less.host_bytes, (118 + 20) * kMiB);
}

TEST(PlanSweeps, AFileStaysInMemoryOnlyWhereThatCostsNoReading) {
    EXPECT_EQ(plan_sweeps(kNeeds, {(118 + 1000 + 400) * kMiB, {}}, 20, 9).host_bytes, (118 + 800) * kMiB);
}

TEST(PlanSweeps, AFileThatDoesNotFitIsStreamed) {
    MemoryNeeds needs = kNeeds;
    needs.stream_bytes = 100 * kMiB;
    EXPECT_FALSE(plan_sweeps(needs, {8000 * kMiB, {}}, 20, 9).streamed);
    const SweepPlan plan = plan_sweeps(needs, {(118 + 100 + 159) * kMiB, {}}, 20, 9);
    EXPECT_TRUE(plan.streamed);
    EXPECT_EQ(plan.wave_chunks, 3);  // as without the stream and its 100
    EXPECT_EQ(plan.n_sweeps, 7);
    EXPECT_LE(plan.host_bytes, (118 + 100 + 159) * kMiB);
    EXPECT_TRUE(plan_sweeps(needs, {(118 + 1000 + 400) * kMiB, {}}, 20, 9).streamed) << "saves a sweep";
    needs.stream_bytes = 1000 * kMiB;
    EXPECT_FALSE(plan_sweeps(needs, {(118 + 1000 + 400) * kMiB, {}}, 20, 9).streamed)
        << "a stream takes no less";
}

TEST(PlanSweeps, ADevicesMemoryHoldsTheStatesAndTheHostsTheFile) {
    MemoryNeeds needs = kNeeds;
    needs.stream_bytes = 100 * kMiB;
    // 70 are fixed on the device.
    const SweepPlan plan = plan_sweeps(needs, {(48 + 1000) * kMiB, (70 + 159) * kMiB}, 20, 9);
    EXPECT_FALSE(plan.streamed);
    EXPECT_EQ(plan.wave_chunks, 3);
    EXPECT_EQ(plan.variants, 9);
    EXPECT_EQ(plan.host_bytes, (48 + 1000) * kMiB);
    EXPECT_EQ(plan.device_bytes, (70 + 120) * kMiB);
    EXPECT_TRUE(plan_sweeps(needs, {(48 + 999) * kMiB, (70 + 159) * kMiB}, 20, 9).streamed);
    EXPECT_THROW(plan_sweeps(needs, {8000 * kMiB, (70 + 7) * kMiB}, 20, 9), Error);
}

TEST(PlanSweeps, OneChunkOfOneVariantMustFit) {
    EXPECT_EQ(plan_sweeps(kNeeds, {(118 + 8) * kMiB, {}}, 20, 9).variants, 1);
    EXPECT_THROW(plan_sweeps(kNeeds, {(118 + 7) * kMiB, {}}, 20, 9), Error);
}

}  // namespace
}  // namespace assay::calibrate
