// A chunk that gives no numbers, where it may be left out: the rest is as if the text did not have it.
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "calibrate/extra.h"
#include "calibrate/on_ranks.h"
#include "calibrate/text_chunks.h"
#include "core/error.h"
#include "core/half.h"

namespace assay::calibrate {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kChunks = 6;

/// A model in which one token has no numbers for an embedding.
class OnNanTest : public testing::Test {
  protected:
    OnNanTest() : fixture_("llama-moe"), options_(options_for(fixture_)) {
        options_.max_chunks = kChunks;
        options_.format = imatrix::Format::GgufExact;
        options_.similarity = true;
        options_.on_nan = OnNan::SkipChunk;
    }

    /// Breaks a token that few chunks have, all of them before `end`, and says which.
    std::vector<std::int64_t> spoil(std::size_t n_wanted, std::int64_t end = kChunks) {
        const gguf::File file = gguf::File::open(fixture_.model());
        Recorder recorder;
        const Chunks chunks = tokenize(file, options_, recorder);
        const gguf::Tensor& table = file.get("token_embd.weight");
        for (std::int64_t token = 0; token < static_cast<std::int64_t>(table.rows()); ++token) {
            std::vector<std::int64_t> with;
            for (std::int64_t chunk = 0; chunk < chunks.n_chunks(); ++chunk)
                if (std::ranges::count(chunks.input_range(chunk, 1), token) > 0) with.push_back(chunk);
            if (with.size() != n_wanted || with.front() == 0 || with.back() >= end) continue;
            break_row(table, static_cast<std::size_t>(token));
            return with;
        }
        ADD_FAILURE() << "no token is in " << n_wanted << " chunks";
        return {};
    }
    void break_row(const gguf::Tensor& table, std::size_t token) {
        std::string bytes = read_file(fixture_.model());
        char* row = bytes.data() + table.offset_bytes + token * table.row_bytes();
        const std::uint16_t half = float_to_half(std::numeric_limits<float>::infinity());
        const float number = std::numeric_limits<float>::infinity();
        if (table.type->id == quant::TypeId::F16)
            std::memcpy(row, &half, sizeof half);
        else
            std::memcpy(row, &number, sizeof number);
        options_.model = fixture_.folder() / "broken.gguf";
        write_file_atomically(options_.model, std::as_bytes(std::span(bytes)));
    }
    imatrix::Matrix loaded() const {
        imatrix::Notes notes;
        return imatrix::load(options_.output, {}, notes);
    }
    /// What the chunks between those give, run by run with the model as it was.
    imatrix::Matrix without(const std::vector<std::int64_t>& left_out) {
        Options options = options_;
        options.model = fixture_.model();
        options.similarity = false;
        std::vector<std::int64_t> ends = left_out;
        ends.push_back(kChunks);
        for (std::int64_t first = 0; const std::int64_t end : ends) {
            options.skip_chunks = first;
            options.max_chunks = end - first;
            first = end + 1;
            if (options.max_chunks == 0) continue;
            Recorder recorder;
            run(options, recorder);
            options.in_files = {options.output};
        }
        return loaded();
    }

    /// One chunk a wave, and stopped after so many; the next run goes on from there.
    Result run_until(std::int64_t stop_after) {
        options_.wave_chunks = 1;
        options_.checkpoint_seconds = 0;
        options_.checkpoint_folder = fixture_.folder() / fmt::format("state-{}", stop_after);
        options_.resume = false;
        Recorder recorder;
        recorder.stop_after = stop_after;
        Result stopped = run(options_, recorder);
        options_.resume = true;
        return stopped;
    }

    test::Fixture fixture_;
    Options options_;
};

TEST_F(OnNanTest, TheRestIsAsIfTheTextDidNotHaveTheChunks) {
    const std::vector<std::int64_t> bad = spoil(2);
    const imatrix::Matrix expected = without(bad);
    for (const std::int64_t wave : {1, 2, 6}) {
        SCOPED_TRACE(wave);
        options_.wave_chunks = wave;
        Recorder recorder;
        const Result result = run(options_, recorder);
        EXPECT_THAT(result.skipped, ElementsAre(bad[0] + 1, bad[1] + 1));
        EXPECT_EQ(result.chunks_done, kChunks - 2);
        EXPECT_EQ(recorder.perplexities.size(), static_cast<std::size_t>(kChunks - 2));
        EXPECT_TRUE(std::ranges::all_of(recorder.perplexities, [](double x) { return std::isfinite(x); }));
        EXPECT_THAT(recorder.notes,
                    Contains(StartsWith(
                        fmt::format("chunk {} of the text is left out: blk.0.attn_q.weight: ", bad[0] + 1))));
        EXPECT_EQ(recorder.notes.back(),
                  fmt::format("2 of 6 chunks of the text were left out, since they gave no numbers: {}, {}",
                              bad[0] + 1, bad[1] + 1));
        const imatrix::Matrix found = loaded();
        EXPECT_EQ(found.entries, expected.entries);
        EXPECT_EQ(found.chunk_count, static_cast<std::uint32_t>(kChunks - 2));
        const gguf::Integers* listed = found.extra.find_integers("assay.skipped_chunks");
        ASSERT_NE(listed, nullptr);
        EXPECT_THAT(*listed, ElementsAre(bad[0] + 1, bad[1] + 1));
        const similarity::Similarity similar = read_similarity(found.extra);
        for (const similarity::Sum& sum : similar.sums(similarity::Kind::Layer))
            EXPECT_EQ(sum.count, static_cast<std::uint64_t>((kChunks - 2) * options_.n_ctx));
    }
}

TEST_F(OnNanTest, AResumedRunLeavesOutTheSameChunks) {
    const std::vector<std::int64_t> bad = spoil(2, kChunks - 1);
    Recorder whole;
    run(options_, whole);
    const std::string expected = read_file(options_.output);
    std::size_t most_skipped = 0;  // before a stop
    for (const std::int64_t stop_after : {1, 2, 3}) {
        SCOPED_TRACE(stop_after);
        const Result stopped = run_until(stop_after);
        EXPECT_TRUE(stopped.stopped);
        EXPECT_TRUE(stopped.resumable);
        most_skipped = std::max(most_skipped, stopped.skipped.size());
        Recorder second;
        const Result resumed = run(options_, second);
        EXPECT_EQ(resumed.chunks_resumed, stopped.chunks_done);
        EXPECT_THAT(resumed.skipped, ElementsAre(bad[0] + 1, bad[1] + 1));
        EXPECT_EQ(read_file(options_.output) == expected, true);
    }
    EXPECT_GT(most_skipped, 0u);
}

TEST_F(OnNanTest, SeveralRanksLeaveOutTheSame) {
    const std::vector<std::int64_t> bad = spoil(2);
    options_.save_every_given = true;  // rounds end where files are due, counted in chunks that are left
    options_.save_every = 2;
    options_.snapshot_every = 3;
    const std::filesystem::path copy = options_.output.string() + ".at_3";
    const Outcome alone = run_alone(options_);
    const std::string expected = read_file(copy);
    EXPECT_THAT(alone.result.skipped, ElementsAre(bad[0] + 1, bad[1] + 1));
    for (const int ranks : {1, 2, 3, 4, 7}) {
        SCOPED_TRACE(ranks);
        std::filesystem::remove(copy);
        options_.wave_chunks = 1 + ranks % 3;
        const Outcome together = run_on(ranks, options_);
        expect_same(together, alone);
        EXPECT_TRUE(read_file(copy) == expected);
        EXPECT_EQ(together.told.notes.back(), alone.told.notes.back());
    }
}

TEST_F(OnNanTest, SeveralRanksGoOnWithoutTheSame) {
    spoil(2, kChunks - 1);
    const Outcome alone = run_alone(options_);
    std::size_t most_skipped = 0;  // before a stop
    for (const std::int64_t stop_after : {1, 2, 3}) {
        SCOPED_TRACE(stop_after);
        most_skipped = std::max(most_skipped, run_until(stop_after).skipped.size());
        const Outcome resumed = run_on(3, options_);
        EXPECT_EQ(resumed.result.chunks_resumed, stop_after);
        expect_same(resumed, alone);
    }
    EXPECT_GT(most_skipped, 0u);
}

TEST_F(OnNanTest, RanksEndWhereNoChunkIsLeft) {
    spoil(2);
    options_.max_chunks = 1;
    options_.skip_chunks = 0;
    const gguf::File file = gguf::File::open(fixture_.model());
    Recorder recorder;
    const Chunks chunks = tokenize(file, options_, recorder);
    break_row(file.get("token_embd.weight"), static_cast<std::size_t>(chunks.inputs[1]));
    try {
        run_on(1, options_);
        FAIL() << "there are no numbers";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Numeric);
        EXPECT_THAT(error.what(),
                    HasSubstr("no chunk is left that gives numbers; of the last one blk.0.attn_q"));
    }
}

TEST_F(OnNanTest, WithoutTheWishTheRunEnds) {
    options_.on_nan = OnNan::Stop;
    const std::vector<std::int64_t> bad = spoil(1);
    Recorder recorder;
    try {
        run(options_, recorder);
        FAIL() << "ran";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Numeric);
        EXPECT_THAT(error.what(), HasSubstr(fmt::format("in chunk {}", bad[0] + 1)));
    }
}

TEST_F(OnNanTest, WhereNoChunkIsLeftTheRunEnds) {
    const gguf::File file = gguf::File::open(fixture_.model());
    Recorder before;
    const Chunks chunks = tokenize(file, options_, before);
    const auto first = static_cast<std::size_t>(chunks.input_range(0, 1).front());
    ASSERT_EQ(chunks.input_range(1, 1).front(), chunks.input_range(0, 1).front())
        << "every chunk begins with BOS";
    break_row(file.get("token_embd.weight"), first);
    options_.max_chunks = 2;
    Recorder recorder;
    EXPECT_THROW(run(options_, recorder), Error);
    EXPECT_FALSE(std::filesystem::exists(options_.output));
}

}  // namespace
}  // namespace assay::calibrate
