// Results that arrive on the host while operations go on.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <future>
#include <limits>
#include <numeric>
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
        std::uniform_real_distribution<float> exponent(-25, 20);
        std::normal_distribution<float> normal;
        for (std::size_t i = 0; i < kColumns * kChunks; ++i) {
            // Widely different sizes, so that plain f64 would show the order of addition.
            squares.push_back(std::exp2(exponent(random)));
            plain.push_back(normal(random));
        }
    }
    /// With the chunks in another order.
    static std::vector<float> reordered(const std::vector<float>& sums,
                                        const std::vector<std::size_t>& order) {
        std::vector<float> result;
        for (const std::size_t chunk : order)
            result.insert(result.end(), sums.begin() + static_cast<std::ptrdiff_t>(chunk * kColumns),
                          sums.begin() + static_cast<std::ptrdiff_t>((chunk + 1) * kColumns));
        return result;
    }

    std::mt19937 random{20261123};
    std::vector<float> squares;
    std::vector<float> plain;
};

struct Kept {
    std::vector<double> high = std::vector<double>(ChunkSums::kColumns);
    std::vector<float> low = std::vector<float>(ChunkSums::kColumns);

    ExactSums sums() { return {high, low}; }
    bool operator==(const Kept&) const = default;
};

TEST_P(LandingTest, AddsExactlyHoweverChunksComeAndInAnyOrder) {
    ChunkSums chunks;
    Kept squares_before, plain_before;  // which hold something already
    std::ranges::fill(squares_before.high, 1.0 / 3);
    std::ranges::fill(plain_before.high, -1e-3);
    Kept squares_expected = squares_before, plain_expected = plain_before;
    for (std::size_t chunk = 0; chunk < ChunkSums::kChunks; ++chunk) {
        const auto of = [&](const std::vector<float>& all) {
            return std::span<const float>(all).subspan(chunk * ChunkSums::kColumns, ChunkSums::kColumns);
        };
        squares_expected.sums().add(of(chunks.squares));
        plain_expected.sums().add(of(chunks.plain));
    }
    EXPECT_NE(std::ranges::count_if(squares_expected.low, [](float low) { return low != 0; }), 0);
    std::vector<std::size_t> order(ChunkSums::kChunks);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (const std::int64_t first_part : {7, 1, 4}) {
        Kept squares = squares_before, plain = plain_before, squares_alone = squares_before;
        std::mutex guard;
        const BufferPtr squares_there = backend().upload(ChunkSums::reordered(chunks.squares, order));
        const BufferPtr plain_there = backend().upload(ChunkSums::reordered(chunks.plain, order));
        const LandingPtr landing = backend().make_landing();
        landing->mark();
        for (const auto& [first, count] : {std::pair{std::int64_t{0}, first_part},
                                           std::pair{first_part, ChunkSums::kChunks - first_part}}) {
            if (count == 0) continue;
            const auto at = static_cast<std::size_t>(first) * ChunkSums::kColumns;
            const Sums places{squares_there->f32() + at, plain_there->f32() + at};
            elsewhere([&, n = count] {
                EXPECT_EQ(landing->add_chunks(places, n, {squares.sums(), plain.sums(), &guard}),
                          std::nullopt);
                EXPECT_EQ(landing->add_chunks(places, n, {squares_alone.sums(), {}}), std::nullopt);
            });
        }
        EXPECT_TRUE(squares == squares_expected);
        EXPECT_TRUE(squares_alone == squares_expected);
        EXPECT_TRUE(plain == plain_expected);
        std::ranges::shuffle(order, chunks.random);
    }
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
        Kept square_totals, plain_totals;
        EXPECT_EQ(landing->add_chunks({squares->f32(), plain->f32()}, ChunkSums::kChunks,
                                      {square_totals.sums(), plain_totals.sums()}),
                  3);
    }
}

}  // namespace
}  // namespace assay::backend
