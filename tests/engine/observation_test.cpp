// What is observed of a weight does not depend on how chunks were grouped, dealt or cut into waves.
#include "engine/observation.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <thread>

#include "backend/open.h"
#include "core/error.h"
#include "engine/recording_sink.h"

namespace assay::engine {
namespace {

constexpr std::int64_t kWidth = 3;
constexpr std::int64_t kAllChunks = 6;

/// One input of a layer: what is multiplied with it.
using Input = std::vector<std::string>;
/// The parts of a layer between two deliveries.
using Stages = std::vector<std::vector<Input>>;

class ObservationTest : public testing::Test {
  protected:
    /// Widely different sizes, so that the order of addition shows in the last bits.
    static float value(std::int64_t chunk, std::size_t layer, std::size_t stage, std::size_t input,
                       std::int64_t column) {
        const auto seed = static_cast<double>(1 + column + 7 * chunk) + 0.37 * static_cast<double>(input) +
                          1.7 * static_cast<double>(stage) + 2.9 * static_cast<double>(layer);
        return static_cast<float>(std::exp2(20 * std::sin(37 * seed)));
    }

    /// Two layers of `stages` over some chunks, as a pass goes through them; or those from `first_layer` on
    /// and before `end`.
    void pass(const Stages& stages, ChunkRange chunks, std::int64_t group, std::size_t first_layer = 0,
              std::size_t end = 2) {
        ParcelPool pool;
        Delivery delivery(*backend_, sink_, pool, 1 << 20);
        Observation observation(delivery, true);
        for (std::size_t layer = first_layer; layer < end; ++layer)
            for (std::size_t stage = 0; stage < stages.size(); ++stage)
                for (std::int64_t at = 0; at < chunks.count; at += group) {
                    const ChunkRange some{chunks.first + at, std::min(group, chunks.count - at)};
                    for (std::size_t input = 0; input < stages[stage].size(); ++input) {
                        const backend::Sums sums =
                            observation.expect(stages[stage][input], kWidth, some, {some.count, 1});
                        for (std::int64_t i = 0; i < some.count * kWidth; ++i) {
                            sums.squares[i] = value(some.first + i / kWidth, layer, stage, input, i % kWidth);
                            sums.plain[i] = -sums.squares[i] / 3;
                        }
                    }
                    observation.deliver();
                }
        delivery.finish();
    }
    /// Totals after all chunks in waves of these lengths.
    auto totals(const Stages& stages, std::int64_t wave, std::int64_t group) {
        sink_ = {};
        for (std::int64_t first = 0; first < kAllChunks; first += wave)
            pass(stages, {first, std::min(wave, kAllChunks - first)}, group);
        return sink_.inputs;
    }

    ThreadPool threads_{1};
    std::unique_ptr<backend::Backend> backend_ =
        backend::open({"cpu", backend::Precision::F32, {}, 1}, threads_);
    RecordingSink sink_;
};

/// A weight with two inputs in one stage, one whose second input is in another stage, and all of them once
/// more in the second layer; one of the inputs has a weight beside it.
const Stages kSeveral{{{"a"}, {"b", "c"}, {"a"}}, {{"c"}, {"d"}}};

TEST_F(ObservationTest, SeveralInputsOfAWeightDependOnNeitherGroupsNorWaves) {
    const auto expected = totals(kSeveral, 1, 1);
    EXPECT_EQ(expected.size(), 4u);  // a, b with c, c, d
    for (const std::int64_t wave : {1, 4, 6})
        for (const std::int64_t group : {1, 2, 6})
            EXPECT_EQ(totals(kSeveral, wave, group), expected) << wave << ", " << group;
}

TEST_F(ObservationTest, NorDoTheyDependOnTheNumberOfDevices) {
    const auto expected = totals(kSeveral, 6, 2);
    for (const std::int64_t first_part : {1, 2, 5}) {
        sink_ = {};
        std::thread later([&] { pass(kSeveral, {first_part, kAllChunks - first_part}, 2); });
        pass(kSeveral, {0, first_part}, 3);
        later.join();
        EXPECT_EQ(sink_.inputs, expected) << first_part;
    }
}

TEST_F(ObservationTest, NorOnWhereAWaveWasGoneOnWith) {
    const auto expected = totals(kSeveral, 6, 2);
    sink_ = {};
    pass(kSeveral, {0, 6}, 2, 0, 1);
    pass(kSeveral, {0, 4}, 3, 1, 2);
    pass(kSeveral, {4, 2}, 1, 1, 2);
    EXPECT_EQ(sink_.inputs, expected);
}

TEST_F(ObservationTest, NamesTheChunkThatHoldsNoNumber) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        ParcelPool pool;
        Delivery delivery(*backend_, sink_, pool, 1 << 20);
        Observation observation(delivery, true);
        const backend::Sums sums = observation.expect({"gate", "up"}, kWidth, {10, 4}, {4, 1});
        std::fill_n(sums.squares, 4 * kWidth, 1.0F);
        std::fill_n(sums.plain, 4 * kWidth, 1.0F);
        sums.plain[2 * kWidth + 1] = bad;
        observation.deliver();
        try {
            delivery.finish();
            FAIL() << "accepted";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Numeric);
            EXPECT_EQ(error.where(), "gate");
            EXPECT_NE(error.message().find("in chunk 13;"), std::string::npos) << error.message();
        }
    }
}

TEST_F(ObservationTest, WhatIsNotWantedHasNoPlace) {
    ParcelPool pool;
    Delivery delivery(*backend_, sink_, pool, 1 << 20);
    Observation observation(delivery, false);
    EXPECT_EQ(observation.expect({"a"}, kWidth, {0, 1}, {1, 1}).squares, nullptr);
    observation.deliver();
    delivery.finish();
    EXPECT_TRUE(sink_.inputs.empty());
}

}  // namespace
}  // namespace assay::engine
