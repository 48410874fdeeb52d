// Sums of many chunks, added by many threads, are those of one chunk after another.
#include "calibrate/collector.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

#include "core/error.h"

namespace assay::calibrate {
namespace {

struct Shape {
    std::int64_t chunks = 5;
    std::int64_t matrices = 3;
    std::int64_t width = 1500;  // several blocks of columns, the last one short
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
        const auto at = static_cast<std::size_t>(first * shape_.matrices * shape_.width);
        const auto count = static_cast<std::size_t>(n * shape_.matrices * shape_.width);
        engine::InputSums result;
        result.weights = weights_;
        result.chunk = first;
        result.n_chunks = n;
        result.width = shape_.width;
        result.squares = std::span(squares_).subspan(at, count);
        result.plain = std::span(plain_).subspan(at, count);
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

TEST_F(CollectorTest, ThreadsAndRunsOfChunksChangeNoBit) {
    Collector expected{imatrix::Matrix()};
    for (std::int64_t chunk = 0; chunk < shape_.chunks; ++chunk) expected.on_input(sums(chunk, 1));
    expected.commit();
    for (const int n_threads : {1, 4}) {
        Collector collector{imatrix::Matrix(), n_threads};
        collector.on_input(sums(0, 3));
        collector.on_input(sums(3, 2));
        collector.commit();
        for (const std::string& weight : weights_) {
            const imatrix::Entry& one = expected.committed().matrix.entries.find(weight)->second;
            const imatrix::Entry& other = collector.committed().matrix.entries.find(weight)->second;
            EXPECT_EQ(one.sum_sq, other.sum_sq);
            EXPECT_EQ(one.sum, other.sum);
            EXPECT_EQ(one.counts, other.counts);
        }
    }
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
        Collector collector{imatrix::Matrix(), 2};
        try {
            collector.on_input(sums(1, 4));
            FAIL() << "accepted";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Numeric);
            EXPECT_NE(error.message().find("in chunk 4;"), std::string::npos) << error.message();
        }
    }
}

}  // namespace
}  // namespace assay::calibrate
