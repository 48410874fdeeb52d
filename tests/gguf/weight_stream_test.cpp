#include "gguf/weight_stream.h"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "core/error.h"
#include "support/fixture.h"

namespace assay::gguf {
namespace {

class WeightStreamTest : public testing::Test {
  protected:
    /// The same bytes as the mapping has.
    void expect_whole(const JobBytes& stage, const TensorRange& range) const {
        const auto staged = stage.get(range);
        const auto mapped = TensorBytes(file_).get(range);
        EXPECT_NE(staged.data(), mapped.data());
        EXPECT_TRUE(std::ranges::equal(staged, mapped)) << range.tensor->name;
    }

    test::Fixture fixture_{"llama-dense"};
    File file_ = File::open(fixture_.model());
};

TEST_F(WeightStreamTest, DeliversEveryRangeInOrder) {
    std::vector<FileRanges> jobs;
    for (const Tensor& tensor : file_.tensors())
        jobs.push_back(
            {&file_, {{&tensor, 0, tensor.size_bytes}, {&tensor, tensor.row_bytes(), tensor.row_bytes()}}});
    std::erase_if(jobs, [](const FileRanges& job) { return job.ranges[0].tensor->rows() < 2; });
    for (const std::uint64_t bound : {std::uint64_t{1}, std::uint64_t{1} << 18, std::uint64_t{1} << 30}) {
        const auto reader = std::move(open_stream(jobs, bound, 1).front());
        for (const auto& job : jobs) {
            const auto stage = reader->take();
            for (const TensorRange& range : job.ranges) expect_whole(*stage, range);
        }
        EXPECT_GT(reader->read_from_disk().seconds, 0);
    }
}

TEST_F(WeightStreamTest, ReadsOnceForAllReaders) {
    std::vector<FileRanges> jobs;
    for (const Tensor& tensor : file_.tensors()) jobs.push_back({&file_, {{&tensor, 0, tensor.size_bytes}}});
    for (const std::uint64_t bound : {std::uint64_t{1}, std::uint64_t{1} << 30}) {
        const auto readers = open_stream(jobs, bound, 3);
        std::vector<std::vector<const std::byte*>> places(readers.size());
        std::vector<std::thread> threads;
        for (std::size_t r = 0; r < readers.size(); ++r)
            threads.emplace_back([&, r] {
                for (const auto& job : jobs) {
                    const auto stage = readers[r]->take();
                    expect_whole(*stage, job.ranges.front());
                    places[r].push_back(stage->get(job.ranges.front()).data());
                    if (r == 1) std::this_thread::yield();
                }
            });
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(places[0], places[1]);
        EXPECT_EQ(places[0], places[2]);
    }
}

TEST_F(WeightStreamTest, NobodyWaitsForAReaderThatLeft) {
    const Tensor& tensor = file_.get("blk.0.ffn_up.weight");
    const std::vector<FileRanges> jobs(100, {&file_, {{&tensor, 0, tensor.size_bytes}}});
    auto readers = open_stream(jobs, 1, 3);
    readers[1]->take();
    std::thread leaves([&] {
        readers[1].reset();
        readers[2].reset();
    });
    for (std::size_t i = 0; i < jobs.size(); ++i) readers[0]->take();
    leaves.join();
}

TEST_F(WeightStreamTest, AReaderThatIsInterruptedWaitsNoMore) {
    const Tensor& tensor = file_.get("blk.0.ffn_up.weight");
    const auto readers = open_stream({100, {&file_, {{&tensor, 0, tensor.size_bytes}}}}, 1, 2);
    (void)readers[0]->take();
    std::thread interrupts([&] { readers[0]->interrupt(); });
    EXPECT_THROW(readers[0]->take(), Error);  // there is room for one stage, which the other has not taken
    interrupts.join();
}

TEST_F(WeightStreamTest, PartsOfARangeComeFromTheStageOthersFromTheMapping) {
    const Tensor& tensor = file_.get("blk.0.ffn_up.weight");
    const std::uint64_t row = tensor.row_bytes();
    const auto readers = open_stream({{&file_, {{&tensor, 2 * row, 4 * row}}}}, std::uint64_t{1} << 20, 1);
    const auto stage = readers.front()->take();
    expect_whole(*stage, {&tensor, 3 * row, row});
    EXPECT_EQ(stage->get({&tensor, row, 2 * row}).data(), file_.data(tensor).data() + row);
}

TEST_F(WeightStreamTest, TellsEachReaderOfAFileThatHasBecomeShorter) {
    std::vector<FileRanges> jobs;
    for (const Tensor& tensor : file_.tensors()) jobs.push_back({&file_, {{&tensor, 0, tensor.size_bytes}}});
    // The mapping is not touched behind the end.
    std::filesystem::resize_file(fixture_.model(), file_.tensors().front().offset_bytes);
    const auto readers = open_stream(jobs, std::uint64_t{1} << 30, 2);
    for (const auto& reader : readers) {
        try {
            reader->take();
            ADD_FAILURE() << "took what is not there";
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Io);
            EXPECT_EQ(error.where(), fixture_.model().string());
        }
    }
}

TEST_F(WeightStreamTest, MayBeLeftBeforeItsEnd) {
    const Tensor& tensor = file_.get("blk.0.ffn_up.weight");
    const std::vector<FileRanges> jobs(100, {&file_, {{&tensor, 0, tensor.size_bytes}}});
    const auto readers = open_stream(jobs, 1, 1);
    (void)readers.front()->take();
}

}  // namespace
}  // namespace assay::gguf
