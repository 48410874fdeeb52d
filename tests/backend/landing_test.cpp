// Results that arrive on the host while operations go on.
#include <cmath>
#include <cstring>
#include <future>
#include <limits>
#include <random>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using LandingTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, LandingTest, testing::ValuesIn(all_cases()), name_of);

/// From another thread, as the engine does.
template <typename Call> auto elsewhere(Call call) { return std::async(std::launch::async, call).get(); }

TEST_P(LandingTest, ShowsWhatTheOperationsLeft) {
    constexpr std::int64_t kRows = 64;
    constexpr std::size_t kBytes = 3 * kRows * sizeof(double);
    std::vector<Stored> inputs;
    std::vector<BufferPtr> results;
    std::vector<LandingPtr> landings;
    for (int i = 0; i < 8; ++i) {
        inputs.push_back(store(random(kRows, 2048, DType::F32), DType::F32));
        results.push_back(backend().allocate(kBytes));
        landings.push_back(backend().make_landing());
    }
    for (int round = 0; round < 2; ++round) {
        for (std::size_t i = 0; i < results.size(); ++i) {
            const View& other = inputs[(i + static_cast<std::size_t>(round) + 1) % inputs.size()].view;
            backend().row_products(inputs[i].view, other, reinterpret_cast<double*>(results[i]->data()));
            landings[i]->mark();
        }
        for (std::size_t i = 0; i < results.size(); ++i) {
            const auto received = elsewhere([&] {
                std::vector<double> values(3 * kRows);
                std::memcpy(values.data(), landings[i]->fetch(results[i]->data(), kBytes).data(), kBytes);
                return values;
            });
            std::vector<double> downloaded(3 * kRows);
            backend().download(results[i]->data(), std::as_writable_bytes(std::span(downloaded)));
            EXPECT_GT(downloaded.front(), 0);
            EXPECT_EQ(received, downloaded);
        }
    }
}

/// Sums of many chunks side by side, as operations leave them.
struct ChunkSums {
    static constexpr std::size_t kColumns = 5000;  // several blocks of columns, the last one short
    static constexpr std::int64_t kChunks = 7;

    ChunkSums() {
        std::mt19937 random(20261123);
        std::normal_distribution<float> normal;
        for (std::size_t i = 0; i < kColumns * kChunks; ++i) {
            // Widely different sizes, so that the order of addition shows in the last bits.
            squares.push_back(std::exp2(20 * normal(random)));
            plain.push_back(normal(random));
        }
    }
    static std::vector<double> added(const std::vector<float>& sums, std::vector<double> totals) {
        for (std::size_t i = 0; i < sums.size(); ++i) totals[i % kColumns] += static_cast<double>(sums[i]);
        return totals;
    }

    std::vector<float> squares;
    std::vector<float> plain;
};

TEST_P(LandingTest, AddsChunkAfterChunkToTheBit) {
    const ChunkSums sums;
    const BufferPtr squares = backend().upload(sums.squares);
    const BufferPtr plain = backend().upload(sums.plain);
    const LandingPtr landing = backend().make_landing();
    landing->mark();
    std::vector<double> square_totals(ChunkSums::kColumns, 1.0 / 3);
    std::vector<double> plain_totals(ChunkSums::kColumns, -1e-3);
    const auto expected_squares =
        ChunkSums::added(sums.squares, ChunkSums::added(sums.squares, square_totals));
    const auto expected_plain = ChunkSums::added(sums.plain, plain_totals);
    const Sums places{squares->f32(), plain->f32()};
    elsewhere([&] {
        EXPECT_EQ(landing->add_chunks(places, ChunkSums::kChunks, {square_totals, plain_totals}),
                  std::nullopt);
        EXPECT_EQ(landing->add_chunks(places, ChunkSums::kChunks, {square_totals, {}}), std::nullopt);
    });
    EXPECT_EQ(square_totals, expected_squares);
    EXPECT_EQ(plain_totals, expected_plain);
}

TEST_P(LandingTest, NamesTheFirstChunkThatIsNotFinite) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        ChunkSums sums;
        sums.plain[3 * ChunkSums::kColumns + 4321] = bad;
        sums.squares[5 * ChunkSums::kColumns] = bad;
        const BufferPtr squares = backend().upload(sums.squares);
        const BufferPtr plain = backend().upload(sums.plain);
        const LandingPtr landing = backend().make_landing();
        landing->mark();
        std::vector<double> square_totals(ChunkSums::kColumns);
        std::vector<double> plain_totals(ChunkSums::kColumns);
        EXPECT_EQ(landing->add_chunks({squares->f32(), plain->f32()}, ChunkSums::kChunks,
                                      {square_totals, plain_totals}),
                  3);
    }
}

}  // namespace
}  // namespace assay::backend
