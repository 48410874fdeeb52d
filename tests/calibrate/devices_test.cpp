// Devices with memory of their own, played by processors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/fragile_backend.h"
#include "calibrate/run_fixture.h"

namespace assay::calibrate {
namespace {

using testing::HasSubstr;

/// Products beside the feed-forward's first one, of the two layers of llama-dense.
constexpr std::int64_t kProductsOfAPass = 2 * 3;

/// Every device plays so.
void play(Options& options, const Fragility& fragility) {
    options.open_backend = [fragility](const backend::OpenOptions& open, ThreadPool& pool) {
        return std::make_unique<FragileBackend>(open, pool, fragility);
    };
}

class DevicesTest : public testing::Test {
  protected:
    DevicesTest() { options_.similarity = true; }

    /// The file that this run wrote.
    std::string bytes() {
        recorder_ = {};
        run(options_, recorder_);
        return read_file(options_.output);
    }
    /// Of the widest activations of n chunks, the largest buffer of a pass.
    std::size_t widest_bytes(std::int64_t n_chunks) const {
        constexpr std::int64_t kWidest = 256 + 512;  // the normed input beside queries, keys and values
        return static_cast<std::size_t>(n_chunks * options_.n_ctx * kWidest) * sizeof(float);
    }

    test::Fixture fixture_{"llama-dense"};
    Options options_ = options_for(fixture_);
    Recorder recorder_;
};

TEST_F(DevicesTest, AWaveThatDoesNotFitIsHalvedAndSaysSoOnce) {
    const std::string expected = bytes();
    options_.wave_chunks = 6;
    play(options_, {.most_bytes = widest_bytes(1)});
    EXPECT_EQ(bytes() == expected, true);
    ASSERT_EQ(recorder_.notes.size(), 1u);
    EXPECT_THAT(recorder_.notes.front(), HasSubstr("memory for 6 chunks"));
    EXPECT_EQ(recorder_.perplexities.size(), 6u);
}

TEST_F(DevicesTest, OneChunkThatDoesNotFitIsAnErrorThatSaysWhatWouldHelp) {
    options_.wave_chunks = 4;
    play(options_, {.most_bytes = widest_bytes(1) - 1});
    try {
        run(options_, recorder_);
        FAIL() << "it fitted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::DeviceMemory);
        EXPECT_THAT(error.message(), testing::StartsWith("full: "));
        EXPECT_THAT(error.message(), HasSubstr("--ctx-size"));
    }
}

TEST_F(DevicesTest, AnotherErrorStands) {
    play(options_, {.products = 3});
    EXPECT_THROW(run(options_, recorder_), Error);
    EXPECT_TRUE(recorder_.notes.empty());
}

TEST_F(DevicesTest, WavesFollowTheRoomOfTheDevice) {
    const std::string expected = bytes();
    play(options_, {.room_bytes = std::uint64_t{1} << 40});
    EXPECT_EQ(bytes() == expected, true);
    EXPECT_EQ(recorder_.plan.wave_chunks, 6);
    EXPECT_TRUE(recorder_.plan.weights_kept);
    play(options_, {.room_bytes = recorder_.plan.device_bytes - 1});
    EXPECT_EQ(bytes() == expected, true);
    EXPECT_EQ(recorder_.plan.wave_chunks, 6);
    EXPECT_FALSE(recorder_.plan.weights_kept);
    const std::uint64_t all_chunks = recorder_.plan.device_bytes;
    play(options_, {.room_bytes = all_chunks - 1});
    EXPECT_EQ(bytes() == expected, true);
    EXPECT_EQ(recorder_.plan.wave_chunks, 5);
    EXPECT_LT(recorder_.plan.device_bytes, all_chunks);
}

TEST_F(DevicesTest, KeptWeightsServeManyWaves) {
    const std::string expected = bytes();
    options_.wave_chunks = 2;
    play(options_, {.room_bytes = std::uint64_t{1} << 40});
    EXPECT_EQ(bytes() == expected, true);
    EXPECT_TRUE(recorder_.plan.weights_kept);
    EXPECT_EQ(recorder_.plan.n_waves, 3);
}

class SameBytesForAnyDevices : public testing::TestWithParam<std::string> {};

TEST_P(SameBytesForAnyDevices, WithOddChunksAndIdleDevices) {
    const test::Fixture fixture(GetParam());
    Options options = options_for(fixture);
    options.similarity = true;
    for (const std::int64_t n_chunks : {5, 2}) {
        options.max_chunks = n_chunks;
        std::string first;
        for (const char* device : {"cpu", "cpu,cpu", "cpu,cpu,cpu"})
            for (const std::int64_t wave : {0, 4}) {
                options.device = device;
                options.wave_chunks = wave;
                Recorder recorder;
                run(options, recorder);
                EXPECT_EQ(recorder.perplexities.size(), static_cast<std::size_t>(n_chunks));
                EXPECT_EQ(recorder.last_progress.work_done, 1);
                const std::string bytes = read_file(options.output);
                if (first.empty()) first = bytes;
                EXPECT_EQ(bytes == first, true) << device << ", waves of " << wave;
            }
    }
}

INSTANTIATE_TEST_SUITE_P(Layers, SameBytesForAnyDevices,
                         testing::Values("llama-dense", "llama-moe", "gemma3-dense", "deepseek2-kvb-moe",
                                         "mamba2-dense"),
                         [](const auto& param) { return test::test_name(param.param); });

TEST(SameBytesForAnyGpus, OnAMachineWithTwo) {
    if (backend::list_devices("cuda").size() < 2) GTEST_SKIP() << "no two CUDA devices";
    const test::Fixture fixture("llama-moe");
    Options options = options_for(fixture);
    options.similarity = true;
    std::string first;
    for (const char* device : {"cuda:0", "cuda:1", "cuda:0,cuda:1", "cuda"}) {
        options.device = device;
        Recorder recorder;
        run(options, recorder);
        const std::string bytes = read_file(options.output);
        if (first.empty()) first = bytes;
        EXPECT_EQ(bytes == first, true) << device;
    }
}

class TeamTest : public DevicesTest {
  protected:
    TeamTest() { options_.device = "cpu,cpu,cpu"; }
    /// The second of the devices plays so.
    void play_second(const Fragility& fragility) {
        options_.open_backend = [fragility, opened = 0](const backend::OpenOptions& open,
                                                        ThreadPool& pool) mutable {
            return std::make_unique<FragileBackend>(open, pool, opened++ == 1 ? fragility : Fragility());
        };
    }
};

TEST_F(TeamTest, ADeviceThatFailsStopsTheOthersAndTheLastSaveStays) {
    options_.max_chunks = 3;
    const std::string saved = bytes();
    options_.max_chunks = 6;
    options_.wave_chunks = 3;
    options_.save_every = 3;
    play_second({.products = kProductsOfAPass + 1});
    recorder_ = {};
    try {
        run(options_, recorder_);
        FAIL() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.where(), "fragile");
        EXPECT_EQ(error.message(), "broke");
    }
    EXPECT_EQ(recorder_.perplexities.size(), 3u);
    EXPECT_EQ(read_file(options_.output) == saved, true);
}

TEST_F(TeamTest, WithoutMemoryOnOneDeviceAllTakeLess) {
    const std::string expected = bytes();
    options_.wave_chunks = 6;
    play_second({.most_bytes = widest_bytes(1)});
    EXPECT_EQ(bytes() == expected, true);
    EXPECT_EQ(recorder_.notes.size(), 1u);
    play_second({.most_bytes = widest_bytes(1) - 1});
    EXPECT_THROW(run(options_, recorder_), Error);
}

TEST_F(TeamTest, TheDeviceWithTheLeastRoomDecides) {
    play_second({.room_bytes = std::uint64_t{1} << 40});
    run(options_, recorder_);
    EXPECT_EQ(recorder_.plan.backends.size(), 3u);
    EXPECT_EQ(recorder_.plan.wave_chunks, 6);
    while (recorder_.plan.wave_chunks == 6) {  // first the kept weights go, then a chunk of each
        play_second({.room_bytes = recorder_.plan.device_bytes - 1});
        run(options_, recorder_ = {});
    }
    EXPECT_EQ(recorder_.plan.wave_chunks, 3);
}

TEST_F(TeamTest, StopsAtWholeChunksWhenAsked) {
    options_.wave_chunks = 3;
    recorder_.stop_after = 3;
    const Result result = run(options_, recorder_);
    EXPECT_TRUE(result.stopped);
    EXPECT_EQ(result.chunks_done, 3);
}

TEST_F(TeamTest, TheMainDeviceIsOneOfTheList) {
    options_.main_device = 2;
    run(options_, recorder_);
    EXPECT_EQ(recorder_.plan.backends.size(), 1u);
    options_.main_device = 3;
    EXPECT_THROW(run(options_, recorder_), Error);
}

}  // namespace
}  // namespace assay::calibrate
