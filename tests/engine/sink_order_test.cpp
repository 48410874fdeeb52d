// Parts of a wave that arrive in any order are told in the order of chunks.
#include "engine/sink_order.h"

#include <gtest/gtest.h>
#include <thread>

#include "core/error.h"
#include "engine/team.h"

namespace assay::engine {
namespace {

struct Told {
    std::string weight;
    std::int64_t first_matrix = 0;
    std::int64_t chunk = 0;
    float square = 0;

    bool operator==(const Told&) const = default;
};

class Listener final : public ActivationSink {
  public:
    void on_input(const InputSums& sums) override {
        if (sums.chunk == refused) throw Error(ErrorKind::Numeric, "chunk", "refused");
        EXPECT_EQ(sums.plain.front(), -sums.squares.front());
        EXPECT_EQ(sums.counts.front(), 10 + sums.chunk);
        inputs.push_back({sums.weights.front(), sums.first_matrix, sums.chunk, sums.squares.front()});
    }
    void on_similarity(const SimilaritySums& sums) override { similarities.push_back(sums.chunk); }
    void on_losses(const ChunkLosses& told) override {
        EXPECT_EQ(told.losses.front(), static_cast<double>(told.chunk) / 2);
        losses.push_back(told.chunk);
    }

    std::int64_t refused = -1;
    std::vector<Told> inputs;
    std::vector<std::int64_t> similarities;
    std::vector<std::int64_t> losses;
};

/// The sums of one chunk whose numbers follow from it; the memory goes with the call.
void tell(ActivationSink& sink, const std::string& weight, std::int64_t chunk, std::int64_t first_matrix = 0,
          std::size_t width = 1) {
    const std::vector<std::string> weights{weight};
    const std::vector<float> squares(width, static_cast<float>(chunk + 100 * first_matrix));
    const std::vector<float> plain(width, -squares.front());
    const std::vector<std::int64_t> counts{10 + chunk};
    InputSums sums;
    sums.weights = weights;
    sums.chunk = chunk;
    sums.width = static_cast<std::int64_t>(width);
    sums.squares = squares;
    sums.plain = plain;
    sums.counts = counts;
    sums.first_matrix = first_matrix;
    sink.on_input(sums);
}

const std::vector<ChunkRange> kParts{{4, 2}, {6, 2}, {8, 1}};

TEST(SinkOrder, LaterPartsWaitForEarlierOnes) {
    Listener listener;
    SinkOrder order(listener, kParts);
    tell(order.part(2), "a", 8);
    tell(order.part(1), "a", 6);
    tell(order.part(0), "a", 4);
    EXPECT_EQ(listener.inputs, (std::vector<Told>{{"a", 0, 4, 4}}));
    tell(order.part(0), "a", 5);
    EXPECT_EQ(listener.inputs.size(), 3u);  // 6 followed, 8 waits for 7
    tell(order.part(1), "a", 7);
    EXPECT_EQ(
        listener.inputs,
        (std::vector<Told>{{"a", 0, 4, 4}, {"a", 0, 5, 5}, {"a", 0, 6, 6}, {"a", 0, 7, 7}, {"a", 0, 8, 8}}));
}

TEST(SinkOrder, WeightsAndExpertsDoNotWaitForEachOther) {
    Listener listener;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    tell(order.part(0), "a", 0, 0);
    tell(order.part(1), "a", 1, 8);
    tell(order.part(1), "b", 1, 0);
    tell(order.part(0), "a", 0, 8);
    EXPECT_EQ(listener.inputs, (std::vector<Told>{{"a", 0, 0, 0}, {"a", 8, 0, 800}, {"a", 8, 1, 801}}));
}

TEST(SinkOrder, AWeightThatComesAgainComesAfterAllChunksOfTheFirstTime) {
    Listener listener;
    SinkOrder order(listener, {{0, 2}, {2, 1}});
    for (int layer = 0; layer < 2; ++layer)
        for (const std::int64_t chunk : {0, 1}) tell(order.part(0), "shared", chunk);
    EXPECT_EQ(listener.inputs.size(), 2u);
    tell(order.part(1), "shared", 2);
    EXPECT_EQ(listener.inputs.size(), 5u);
    tell(order.part(1), "shared", 2);
    ASSERT_EQ(listener.inputs.size(), 6u);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(listener.inputs[i].chunk, static_cast<std::int64_t>(i % 3));
}

TEST(SinkOrder, RunsOfChunksCountAsMany) {
    Listener listener;
    SinkOrder order(listener, {{0, 3}, {3, 1}});
    const std::vector<std::string> weights{"a"};
    const std::vector<float> squares{1, 2};
    const std::vector<float> plain{-1, -2};
    const std::vector<std::int64_t> counts{10, 11};
    InputSums sums;
    sums.weights = weights;
    sums.n_chunks = 2;
    sums.width = 1;
    sums.squares = squares;
    sums.plain = plain;
    sums.counts = counts;
    tell(order.part(1), "a", 3);
    order.part(0).on_input(sums);
    EXPECT_EQ(listener.inputs.size(), 1u);
    tell(order.part(0), "a", 2);
    ASSERT_EQ(listener.inputs.size(), 3u);
    EXPECT_EQ(listener.inputs.back().chunk, 3);
}

TEST(SinkOrder, LossesAndSimilarityKeepTheOrderToo) {
    Listener listener;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    for (const std::int64_t chunk : {1, 0}) {
        ActivationSink& part = order.part(static_cast<std::size_t>(chunk));
        part.on_losses({chunk, std::vector<double>{static_cast<double>(chunk) / 2}});
        part.on_similarity({Similarity::Ffn, 3, chunk, 1, 0, 0});
    }
    EXPECT_EQ(listener.losses, (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(listener.similarities, (std::vector<std::int64_t>{0, 1}));
}

TEST(SinkOrder, APartFarAheadWaitsUntilTheOthersAreThere) {
    constexpr std::size_t kWidth = SinkOrder::kMostBytesHeld / sizeof(float) / 2 / 2;  // half of it a call
    Listener listener;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    std::thread ahead([&] {
        for (const char* weight : {"a", "b", "c"}) tell(order.part(1), weight, 1, 0, kWidth);
    });
    for (const char* weight : {"a", "b", "c"}) tell(order.part(0), weight, 0, 0, kWidth);
    ahead.join();
    EXPECT_EQ(listener.inputs.size(), 6u);
}

TEST(SinkOrder, AFailureWakesThoseWhoWait) {
    constexpr std::size_t kWidth = SinkOrder::kMostBytesHeld / sizeof(float) / 2 + 1;
    Listener listener;
    listener.refused = 0;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    tell(order.part(1), "a", 1, 0, kWidth);
    std::thread waits([&] { EXPECT_THROW(tell(order.part(1), "b", 1, 0, kWidth), Error); });
    EXPECT_THROW(tell(order.part(0), "a", 0), Error);
    order.cancel();
    waits.join();
    EXPECT_THROW(tell(order.part(0), "c", 0), Error);
    EXPECT_TRUE(listener.inputs.empty());
}

TEST(DealChunks, ConsecutiveRunsOfNearlyTheSameLength) {
    const auto lengths = [](std::int64_t n_chunks, std::size_t n) {
        std::vector<std::int64_t> result;
        std::int64_t next = 7;
        for (const ChunkRange& part : deal_chunks(7, n_chunks, n)) {
            EXPECT_EQ(part.first, next);
            next += part.count;
            result.push_back(part.count);
        }
        EXPECT_EQ(next, 7 + n_chunks);
        return result;
    };
    EXPECT_EQ(lengths(7, 3), (std::vector<std::int64_t>{3, 2, 2}));
    EXPECT_EQ(lengths(6, 2), (std::vector<std::int64_t>{3, 3}));
    EXPECT_EQ(lengths(2, 4), (std::vector<std::int64_t>{1, 1}));
    EXPECT_TRUE(deal_chunks(0, 0, 2).empty());
}

}  // namespace
}  // namespace assay::engine
