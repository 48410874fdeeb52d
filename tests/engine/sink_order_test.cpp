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
    double square = 0;

    bool operator==(const Told&) const = default;
};

class Listener final : public ActivationSink {
  public:
    void on_input(const InputSums& sums) override {
        if (sums.chunk == refused) throw Error(ErrorKind::Numeric, "chunk", "refused");
        EXPECT_EQ(sums.counts.front(), 10 + sums.chunk);
        double square = 0;
        EXPECT_FALSE(sums.add_to({{&square, 1}, {}}));
        inputs.push_back({sums.weights.front(), sums.first_matrix, sums.chunk, square});
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

/// The sums of n chunks, whose numbers follow from the first; the memory goes with the call.
void tell(ActivationSink& sink, const std::string& weight, std::int64_t chunk, std::int64_t first_matrix = 0,
          std::int64_t n_chunks = 1) {
    const std::vector<std::string> weights{weight};
    const std::vector<std::int64_t> counts(static_cast<std::size_t>(n_chunks), 10 + chunk);
    InputSums sums;
    sums.weights = weights;
    sums.chunk = chunk;
    sums.n_chunks = n_chunks;
    sums.width = 1;
    sums.add_to = [&](const backend::Totals& totals) -> std::optional<std::int64_t> {
        totals.squares.front() += static_cast<double>(chunk + 100 * first_matrix);
        return {};
    };
    sums.counts = counts;
    sums.first_matrix = first_matrix;
    sink.on_input(sums);
}

/// Each on a thread of its own, which waits for its turn.
class Waiting {
  public:
    template <typename... Calls> explicit Waiting(Calls... calls) { (threads_.emplace_back(calls), ...); }
    ~Waiting() { join(); }
    void join() {
        for (std::thread& thread : threads_)
            if (thread.joinable()) thread.join();
    }

  private:
    std::vector<std::thread> threads_;
};

const std::vector<ChunkRange> kParts{{4, 2}, {6, 2}, {8, 1}};

TEST(SinkOrder, LaterPartsWaitForEarlierOnes) {
    Listener listener;
    SinkOrder order(listener, kParts);
    Waiting later([&] { tell(order.part(2), "a", 8); },
                  [&] {
                      tell(order.part(1), "a", 6);
                      tell(order.part(1), "a", 7);
                  });
    tell(order.part(0), "a", 4);
    EXPECT_EQ(listener.inputs, (std::vector<Told>{{"a", 0, 4, 4}}));  // the others cannot come before 5
    tell(order.part(0), "a", 5);
    later.join();
    EXPECT_EQ(
        listener.inputs,
        (std::vector<Told>{{"a", 0, 4, 4}, {"a", 0, 5, 5}, {"a", 0, 6, 6}, {"a", 0, 7, 7}, {"a", 0, 8, 8}}));
}

TEST(SinkOrder, WeightsAndExpertsDoNotWaitForEachOther) {
    Listener listener;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    tell(order.part(0), "a", 0, 0);
    tell(order.part(0), "a", 0, 8);
    tell(order.part(1), "a", 1, 8);  // before chunk 1 of matrix 0, and chunk 0 of b
    EXPECT_EQ(listener.inputs, (std::vector<Told>{{"a", 0, 0, 0}, {"a", 8, 0, 800}, {"a", 8, 1, 801}}));
}

TEST(SinkOrder, AWeightThatComesAgainComesAfterAllChunksOfTheFirstTime) {
    Listener listener;
    SinkOrder order(listener, {{0, 2}, {2, 1}});
    Waiting first([&] {
        for (int layer = 0; layer < 2; ++layer)
            for (const std::int64_t chunk : {0, 1}) tell(order.part(0), "shared", chunk);
    });
    for (int layer = 0; layer < 2; ++layer) tell(order.part(1), "shared", 2);
    first.join();
    ASSERT_EQ(listener.inputs.size(), 6u);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(listener.inputs[i].chunk, static_cast<std::int64_t>(i % 3));
}

TEST(SinkOrder, RunsOfChunksCountAsMany) {
    Listener listener;
    SinkOrder order(listener, {{0, 3}, {3, 1}});
    Waiting later([&] { tell(order.part(1), "a", 3); });
    tell(order.part(0), "a", 0, 0, 2);
    EXPECT_EQ(listener.inputs.size(), 1u);
    tell(order.part(0), "a", 2);
    later.join();
    ASSERT_EQ(listener.inputs.size(), 3u);
    EXPECT_EQ(listener.inputs.back().chunk, 3);
}

TEST(SinkOrder, LossesAndSimilarityKeepTheOrderToo) {
    Listener listener;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    const auto tell_both = [&](std::int64_t chunk) {
        ActivationSink& part = order.part(static_cast<std::size_t>(chunk));
        part.on_losses({chunk, std::vector<double>{static_cast<double>(chunk) / 2}});
        part.on_similarity({Similarity::Ffn, 3, chunk, 1, 0, 0});
    };
    Waiting later([&] { tell_both(1); });
    tell_both(0);
    later.join();
    EXPECT_EQ(listener.losses, (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(listener.similarities, (std::vector<std::int64_t>{0, 1}));
}

TEST(SinkOrder, AFailureWakesThoseWhoWait) {
    Listener listener;
    listener.refused = 0;
    SinkOrder order(listener, {{0, 1}, {1, 1}});
    Waiting later([&] { EXPECT_THROW(tell(order.part(1), "a", 1), Error); });
    EXPECT_THROW(tell(order.part(0), "a", 0), Error);
    order.cancel();
    later.join();
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
