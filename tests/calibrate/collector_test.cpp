// Totals of many chunks are those of one chunk after another.
#include "calibrate/collector.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
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
        std::normal_distribution<float> normal;
        for (std::int64_t i = 0; i < shape_.chunks * shape_.matrices * shape_.width; ++i) {
            // Widely different sizes, so that the order of addition shows in the last bits.
            squares_.push_back(std::exp2(20 * normal(random_)));
            plain_.push_back(normal(random_));
        }
        for (std::int64_t i = 0; i < shape_.chunks * shape_.matrices; ++i) counts_.push_back(i + 1);
    }

    /// Chunks first .. first + n of experts 2 .. 4 of 6.
    engine::InputSums sums(std::int64_t first, std::int64_t n) const {
        const std::int64_t at = first * shape_.matrices * shape_.width;
        engine::InputSums result;
        result.weights = weights_;
        result.chunk = first;
        result.n_chunks = n;
        result.width = shape_.width;
        result.add_to = [this, at, n](const backend::Totals& totals) {
            std::vector<float> squares(squares_.begin() + at, squares_.end());
            std::vector<float> plain(plain_.begin() + at, plain_.end());
            return backend::cpu::CpuLanding().add_chunks({squares.data(), plain.data()}, n, totals);
        };
        result.counts = std::span(counts_).subspan(static_cast<std::size_t>(first * shape_.matrices),
                                                   static_cast<std::size_t>(n * shape_.matrices));
        result.first_matrix = 2;
        result.n_matrices = 6;
        return result;
    }

    Shape shape_;
    std::mt19937 random_{20261123};
    std::vector<std::string> weights_{"gate", "up"};
    std::vector<float> squares_;
    std::vector<float> plain_;
    std::vector<std::int64_t> counts_;
};

TEST_F(CollectorTest, RunsOfChunksChangeNoBit) {
    Collector expected{imatrix::Matrix()};
    for (std::int64_t chunk = 0; chunk < shape_.chunks; ++chunk) expected.on_input(sums(chunk, 1));
    expected.commit();
    Collector collector{imatrix::Matrix()};
    collector.on_input(sums(0, 3));
    collector.on_input(sums(3, 2));
    collector.commit();
    for (const std::string& weight : weights_)
        EXPECT_EQ(expected.committed().matrix.entries.at(weight),
                  collector.committed().matrix.entries.at(weight));
    // Of expert 2: row 1 of each chunk's counts; nothing of experts 0, 1 and 5.
    const imatrix::Entry& entry = expected.committed().matrix.entries.find("up")->second;
    EXPECT_EQ(entry.counts, (std::vector<std::uint64_t>{0, 0, 1 + 4 + 7 + 10 + 13, 2 + 5 + 8 + 11 + 14,
                                                        3 + 6 + 9 + 12 + 15, 0}));
    EXPECT_EQ(entry.sum_sq.front(), 0);
    EXPECT_GT(entry.sum_sq[static_cast<std::size_t>(2 * shape_.width)], 0);
}

TEST_F(CollectorTest, WeightsOfOneInputThatBeganApartStayApart) {
    Collector fresh{imatrix::Matrix()};
    fresh.on_input(sums(0, 2));
    fresh.commit();
    imatrix::Matrix loaded;
    loaded.entries["gate"] = fresh.committed().matrix.entries.at("gate");
    Collector collector{std::move(loaded)};
    collector.on_input(sums(2, 3));
    collector.commit();
    const auto& entries = collector.committed().matrix.entries;
    Collector all{imatrix::Matrix()}, last{imatrix::Matrix()};
    all.on_input(sums(0, 5));
    last.on_input(sums(2, 3));
    all.commit();
    last.commit();
    EXPECT_EQ(entries.at("gate"), all.committed().matrix.entries.at("gate"));
    EXPECT_EQ(entries.at("up"), last.committed().matrix.entries.at("up"));
    EXPECT_NE(entries.at("up"), entries.at("gate"));
}

TEST_F(CollectorTest, NamesTheChunkThatHoldsNoNumber) {
    const std::size_t in_fourth = static_cast<std::size_t>(3 * shape_.matrices * shape_.width + 1234);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        plain_[in_fourth] = bad;
        Collector collector{imatrix::Matrix()};
        try {
            collector.on_input(sums(1, 4));
            FAIL() << "accepted";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Numeric);
            EXPECT_NE(error.message().find("in chunk 4"), std::string::npos) << error.message();
        }
    }
}

TEST(CollectorLosses, AreNumbers) {
    const std::vector<double> good{1, 2}, bad{1, std::numeric_limits<double>::quiet_NaN()};
    Collector collector{imatrix::Matrix()};
    collector.on_losses({3, good});
    try {
        collector.on_losses({4, bad});
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Numeric);
        EXPECT_NE(error.message().find("is not a number in chunk 5"), std::string::npos) << error.message();
    }
}

}  // namespace
}  // namespace assay::calibrate
