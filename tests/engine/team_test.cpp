// Several passes as one, reading together.
#include "engine/team.h"

#include <fstream>
#include <gtest/gtest.h>

#include "backend/open.h"
#include "core/error.h"
#include "engine/small_model.h"

namespace assay::engine {
namespace {

/// Bytes that this process has read from files, page cache included; 0 where the system does not say.
std::uint64_t bytes_read() {
    std::ifstream file("/proc/self/io");
    std::string key;
    std::uint64_t value = 0;
    while (file >> key >> value)
        if (key == "rchar:") return value;
    return 0;
}

/// Refuses the sums of this weight.
struct Refusing final : RecordingSink {
    explicit Refusing(const std::string& weight) : weight_(weight) {}
    backend::Totals on_input(const InputSums& sums) override {
        if (sums.weights.front() == weight_ && sums.chunks.first == 0)
            throw Error(ErrorKind::Numeric, weight_, "refused");
        return RecordingSink::on_input(sums);
    }

  private:
    std::string weight_;
};

class StreamedTeam : public testing::TestWithParam<std::string> {
  protected:
    StreamedTeam() {
        for (int i = 0; i < 3; ++i) {
            pools_.push_back(std::make_unique<ThreadPool>(1));
            backends_.push_back(
                backend::open({"cpu", backend::Precision::Auto, {}, kContext}, *pools_.back()));
            borrowed_.push_back(backends_.back().get());
        }
        placement_.stream = true;
        plan_.emplace(model_.file, model_.program, *borrowed_.front(),
                      plan::PassOptions{.n_ctx = kContext, .observed_output = {}, .similarity = true});
    }
    Team team() const { return {*plan_, borrowed_, placement_}; }

    SmallModel model_{GetParam()};
    Placement placement_;
    std::optional<plan::PassPlan> plan_;
    std::vector<std::unique_ptr<ThreadPool>> pools_;
    std::vector<std::unique_ptr<backend::Backend>> backends_;
    std::vector<backend::Backend*> borrowed_;
};
INSTANTIATE_TEST_SUITE_P(Models, StreamedTeam, testing::Values("llama-dense", "llama-moe"),
                         [](const auto& name) { return name.param.substr(6); });

TEST_P(StreamedTeam, FindsTheSameAndReadsOnce) {
    Pass mapped(*plan_, *borrowed_.front(), {});
    const RecordingSink expected = model_.run(mapped);
    Team together = team();
    const std::uint64_t before = bytes_read();
    const RecordingSink found = model_.run(together);
    const std::uint64_t after = bytes_read();
    EXPECT_TRUE(found == expected);
    if (after == 0) GTEST_SKIP() << "this system does not count what is read";
    const std::uint64_t once = plan_->read_bytes_per_wave();
    EXPECT_GE(after - before, once);
    EXPECT_LT(after - before, once + once / 2);
}

TEST_P(StreamedTeam, KeptWeightsAreReadInTheFirstWaveOnly) {
    placement_.keep_weights = true;
    Team together = team();
    const RecordingSink first = model_.run(together);
    const std::uint64_t before = bytes_read();
    EXPECT_TRUE(model_.run(together) == first);
    EXPECT_LT(bytes_read() - before, plan_->read_bytes_per_wave() / 2);
}

TEST_P(StreamedTeam, EndsWhereOneOfItFails) {
    for (const char* weight : {"blk.0.attn_q.weight", "blk.1.attn_output.weight"}) {
        Team together = team();
        Refusing sink(weight);
        EXPECT_THROW(together.run(model_.wave(), sink, [](std::int64_t) {}), Error);
    }
}

TEST(DealChunks, ConsecutiveRunsOfNearlyTheSameLength) {
    const auto lengths = [](std::int64_t n_chunks, std::size_t n) {
        std::vector<std::int64_t> result;
        std::vector<std::int64_t> starts;
        for (std::int64_t chunk = 0; chunk <= n_chunks; ++chunk) starts.push_back(10 * chunk);
        std::int64_t next = 7;
        for (const ChunkRange& part : deal_chunks({.first_chunk = 7, .starts = starts}, n)) {
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
    EXPECT_TRUE(lengths(0, 2).empty());
}

TEST(DealChunks, ByTokens) {
    const auto counts = [](const std::vector<std::int64_t>& starts, std::size_t n) {
        std::vector<std::int64_t> result;
        for (const ChunkRange& part : deal_chunks({.starts = starts}, n)) result.push_back(part.count);
        return result;
    };
    EXPECT_EQ(counts({5, 105, 115, 125, 135}, 2), (std::vector<std::int64_t>{1, 3}));
    EXPECT_EQ(counts({0, 10, 20, 30, 130}, 2), (std::vector<std::int64_t>{3, 1}));
    EXPECT_EQ(counts({0, 1, 101, 102}, 3), (std::vector<std::int64_t>{1, 1, 1}));
}

}  // namespace
}  // namespace assay::engine
