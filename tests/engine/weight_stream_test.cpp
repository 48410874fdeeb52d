#include "engine/weight_stream.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "support/fixture.h"

namespace assay::engine {
namespace {

class WeightStreamTest : public testing::Test {
  protected:
    /// The same bytes as the mapping has.
    void expect_whole(const Stage& stage, const TensorRange& range) const {
        const auto staged = stage.get(range);
        const auto mapped = TensorBytes(file_).get(range);
        EXPECT_NE(staged.data(), mapped.data());
        EXPECT_TRUE(std::ranges::equal(staged, mapped)) << range.tensor->name;
    }

    test::Fixture fixture_{"llama-dense"};
    gguf::File file_ = gguf::File::open(fixture_.model());
};

TEST_F(WeightStreamTest, DeliversEveryRangeInOrder) {
    std::vector<std::vector<TensorRange>> jobs;
    for (const gguf::Tensor& tensor : file_.tensors())
        jobs.push_back({{&tensor, 0, tensor.size_bytes}, {&tensor, tensor.row_bytes(), tensor.row_bytes()}});
    std::erase_if(jobs, [](const auto& job) { return job[0].tensor->rows() < 2; });
    for (const std::uint64_t bound : {std::uint64_t{1}, std::uint64_t{1} << 30}) {
        WeightStream stream(file_, jobs, bound);
        for (const auto& job : jobs) {
            const auto stage = stream.take();
            for (const TensorRange& range : job) expect_whole(*stage, range);
        }
        EXPECT_GT(stream.reading_seconds(), 0);
    }
}

TEST_F(WeightStreamTest, PartsOfARangeComeFromTheStageOthersFromTheMapping) {
    const gguf::Tensor& tensor = file_.get("blk.0.ffn_up.weight");
    const std::uint64_t row = tensor.row_bytes();
    WeightStream stream(file_, {{{&tensor, 2 * row, 4 * row}}}, std::uint64_t{1} << 20);
    const auto stage = stream.take();
    expect_whole(*stage, {&tensor, 3 * row, row});
    EXPECT_EQ(stage->get({&tensor, row, 2 * row}).data(), file_.data(tensor).data() + row);
}

TEST_F(WeightStreamTest, MayBeLeftBeforeItsEnd) {
    const gguf::Tensor& tensor = file_.get("blk.0.ffn_up.weight");
    const std::vector<std::vector<TensorRange>> jobs(100, {{&tensor, 0, tensor.size_bytes}});
    WeightStream stream(file_, jobs, 1);
    (void)stream.take();
}

}  // namespace
}  // namespace assay::engine
