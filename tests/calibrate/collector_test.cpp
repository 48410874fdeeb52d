// Totals of many chunks, in any order and any waves.
#include "calibrate/collector.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>

#include "backend/cpu/landing.h"
#include "core/error.h"

namespace assay::calibrate {
namespace {

struct Shape {
    std::int64_t chunks = 5;
    std::int64_t matrices = 3;
    std::int64_t width = 1500;
};

class CollectorTest : public testing::Test {
  protected:
    CollectorTest() {
        std::uniform_real_distribution<float> exponent(-25, 20);
        std::normal_distribution<float> normal;
        for (std::int64_t i = 0; i < shape_.chunks * shape_.matrices * shape_.width; ++i) {
            // Widely different sizes, so that plain f64 would show the order of addition.
            squares_.push_back(std::exp2(exponent(random_)));
            plain_.push_back(normal(random_));
        }
        for (std::int64_t i = 0; i < shape_.chunks * shape_.matrices; ++i)
            counts_.push_back(static_cast<double>(i + 1));
    }

    /// Chunks first .. first + n of experts 2 .. 4 of 6, added as the engine does it.
    void tell(Collector& collector, std::int64_t first, std::int64_t n) const {
        engine::InputSums sums;
        sums.weights = weights_;
        sums.chunks = {first, n};
        sums.width = shape_.width;
        sums.counts = std::span(counts_).subspan(static_cast<std::size_t>(first * shape_.matrices),
                                                 static_cast<std::size_t>(n * shape_.matrices));
        sums.first_matrix = 2;
        sums.n_matrices = 6;
        const std::int64_t at = first * shape_.matrices * shape_.width;
        std::vector<float> squares(squares_.begin() + at, squares_.end());
        std::vector<float> plain(plain_.begin() + at, plain_.end());
        EXPECT_FALSE(backend::cpu::CpuLanding().add_chunks({squares.data(), plain.data()}, n,
                                                           collector.on_input(sums)));
    }

    Shape shape_;
    std::mt19937 random_{20261123};
    std::vector<std::string> weights_{"gate", "up"};
    std::vector<float> squares_;
    std::vector<float> plain_;
    std::vector<double> counts_;
};

TEST_F(CollectorTest, OrderRunsAndWavesOfChunksChangeNoBit) {
    Collector expected{imatrix::Matrix()};
    for (std::int64_t chunk = 0; chunk < shape_.chunks; ++chunk) tell(expected, chunk, 1);
    expected.commit();
    Collector backwards{imatrix::Matrix()}, waves{imatrix::Matrix()};
    for (std::int64_t chunk = shape_.chunks - 1; chunk >= 0; --chunk) tell(backwards, chunk, 1);
    backwards.commit();
    for (const auto& [first, n] : {std::pair{3, 2}, std::pair{0, 1}, std::pair{1, 2}}) {
        tell(waves, first, n);
        waves.commit();
    }
    EXPECT_EQ(backwards.committed().matrix.entries, expected.committed().matrix.entries);
    EXPECT_EQ(waves.committed().matrix.entries, expected.committed().matrix.entries);
    const imatrix::Entry& entry = expected.committed().matrix.entries.find("up")->second;
    EXPECT_NE(std::ranges::count_if(entry.sum_sq_low, [](float low) { return low != 0; }), 0);
    // Of expert 2: row 1 of each chunk's counts; nothing of experts 0, 1 and 5.
    EXPECT_EQ(entry.counts,
              (std::vector<double>{0, 0, 1 + 4 + 7 + 10 + 13, 2 + 5 + 8 + 11 + 14, 3 + 6 + 9 + 12 + 15, 0}));
    EXPECT_EQ(entry.sum_sq.front(), 0);
    EXPECT_GT(entry.sum_sq[static_cast<std::size_t>(2 * shape_.width)], 0);
}

TEST_F(CollectorTest, WeightsOfOneInputThatBeganApartStayApart) {
    Collector fresh{imatrix::Matrix()};
    tell(fresh, 0, 2);
    fresh.commit();
    imatrix::Matrix loaded;
    loaded.entries["gate"] = fresh.committed().matrix.entries.at("gate");
    Collector collector{std::move(loaded)};
    tell(collector, 2, 3);
    collector.commit();
    const auto& entries = collector.committed().matrix.entries;
    Collector all{imatrix::Matrix()}, last{imatrix::Matrix()};
    tell(all, 0, 5);
    tell(last, 2, 3);
    all.commit();
    last.commit();
    EXPECT_EQ(entries.at("gate"), all.committed().matrix.entries.at("gate"));
    EXPECT_EQ(entries.at("up"), last.committed().matrix.entries.at("up"));
    EXPECT_NE(entries.at("up"), entries.at("gate"));
}

TEST_F(CollectorTest, SeveralInputsOfAWeightAreAddedTogether) {
    const auto found = [&](std::initializer_list<std::int64_t> waves) {
        Collector collector{imatrix::Matrix()};
        std::int64_t first = 0;
        for (const std::int64_t n : waves) {
            for (int input = 0; input < 2; ++input) tell(collector, first, n);
            collector.commit();
            first += n;
        }
        return collector.committed().matrix.entries;
    };
    const auto expected = found({5});
    EXPECT_EQ(found({2, 2, 1}), expected);
    EXPECT_EQ(found({1, 1, 1, 1, 1}), expected);
    Collector once{imatrix::Matrix()};
    tell(once, 0, 5);
    once.commit();
    for (const auto& [weight, entry] : once.committed().matrix.entries) {
        const imatrix::Entry& both = expected.at(weight);
        for (std::size_t i = 0; i < entry.counts.size(); ++i) EXPECT_EQ(both.counts[i], 2 * entry.counts[i]);
        for (std::size_t i = 0; i < entry.sum_sq.size(); ++i) {
            EXPECT_EQ(both.sum_sq[i], 2 * entry.sum_sq[i]);
            EXPECT_EQ(both.sum[i], 2 * entry.sum[i]);
        }
    }
}

TEST_F(CollectorTest, ALoadedMatrixWithoutPlainSums) {
    Collector before{imatrix::Matrix()};
    tell(before, 0, 1);
    before.commit();
    imatrix::Matrix loaded;
    loaded.entries["gate"] = before.committed().matrix.entries.at("gate");
    loaded.entries["gate"].sum.clear();
    Collector collector{loaded};
    for (int input = 0; input < 2; ++input) tell(collector, 1, 1);
    collector.commit();
    const imatrix::Entry& gate = collector.committed().matrix.entries.at("gate");
    EXPECT_TRUE(gate.sum.empty()) << "they are not known";
    EXPECT_GT(gate.sum_sq.back() + gate.sum_sq[static_cast<std::size_t>(2 * shape_.width)], 0);
    const imatrix::Entry& up = collector.committed().matrix.entries.at("up");
    EXPECT_EQ(up.counts[2], 2 * counts_[3]);
    EXPECT_EQ(gate.counts[2], 2 * counts_[3] + counts_[0]);
}

TEST_F(CollectorTest, WhatIsAbandonedLeavesNoTrace) {
    Collector collector{imatrix::Matrix()};
    tell(collector, 0, 3);
    tell(collector, 0, 3);
    collector.abandon();
    EXPECT_TRUE(collector.committed().matrix.entries.empty());
    tell(collector, 0, 3);
    collector.commit();
    Collector expected{imatrix::Matrix()};
    tell(expected, 0, 3);
    expected.commit();
    EXPECT_EQ(collector.committed().matrix.entries, expected.committed().matrix.entries);
}

TEST(CollectorLosses, AreNumbers) {
    const std::vector<double> good{1, 2}, bad{1, std::numeric_limits<double>::quiet_NaN()};
    Collector collector{imatrix::Matrix()};
    collector.on_losses({3, 0, 0, good});
    try {
        collector.on_losses({4, 0, 0, bad});
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Numeric);
        EXPECT_NE(error.message().find("is not a number in chunk 5"), std::string::npos) << error.message();
    }
}

}  // namespace
}  // namespace assay::calibrate
