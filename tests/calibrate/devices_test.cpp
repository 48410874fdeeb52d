// Devices with memory of their own, played by processors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/fragile_backend.h"
#include "calibrate/run_fixture.h"

namespace assay::calibrate {
namespace {

using testing::HasSubstr;

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
        constexpr std::int64_t kWidest = 512;
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
        EXPECT_EQ(error.kind(), ErrorKind::Device);
        EXPECT_THAT(error.message(), testing::StartsWith(std::string(backend::kOutOfDeviceMemory)));
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
    const std::uint64_t all = recorder_.plan.device_bytes;
    play(options_, {.room_bytes = all - 1});
    EXPECT_EQ(bytes() == expected, true);
    EXPECT_EQ(recorder_.plan.wave_chunks, 5);
    EXPECT_LT(recorder_.plan.device_bytes, all);
}

}  // namespace
}  // namespace assay::calibrate
