#include "calibrate/job.h"

#include <condition_variable>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "calibrate/extra.h"
#include "calibrate/run_fixture.h"
#include "core/cpu.h"
#include "core/error.h"

namespace assay::calibrate {
namespace {

/// Precision, threads, wave: none but the first may change a byte.
struct Way {
    backend::Precision precision;
    int n_threads;
    std::int64_t wave;
};

class SameBytes : public testing::TestWithParam<std::string> {};

TEST_P(SameBytes, ForAnyThreadsAndWaves) {
    const test::Fixture fixture(GetParam());
    Options options = options_for(fixture);
    options.similarity = true;
    for (const backend::Precision precision : {backend::Precision::F32, backend::Precision::Auto}) {
        std::string first;
        for (const Way& way :
             {Way{precision, 1, 1}, Way{precision, 2, 1}, Way{precision, 2, 4}, Way{precision, 3, 6}}) {
            options.precision = way.precision;
            options.n_threads = way.n_threads;
            options.wave_chunks = way.wave;
            Recorder recorder;
            run(options, recorder);
            const std::string bytes = read_file(options.output);
            if (first.empty()) first = bytes;
            EXPECT_EQ(bytes == first, true) << way.n_threads << " threads, waves of " << way.wave;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Layers, SameBytes, testing::Values("llama-dense", "llama-moe", "gemma3-dense"),
                         [](const auto& name) {
                             return name.param.substr(0, name.param.find('-')) +
                                    name.param.substr(name.param.find('-') + 1);
                         });

TEST(Job, SnapshotsHoldWholeChunks) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.snapshot_every = 2;
    Recorder recorder;
    run(options, recorder);
    imatrix::Notes notes;
    const auto snapshot = imatrix::load(options.output.string() + ".at_4", {}, notes);
    ASSERT_FALSE(snapshot.entries.empty());
    for (const auto& [name, entry] : snapshot.entries)
        EXPECT_EQ(entry.counts.front(), static_cast<double>(4 * options.n_ctx)) << name;
    EXPECT_EQ(snapshot.chunk_count, 4u);
    EXPECT_EQ(recorder.saved.size(), 4u);  // .at_2, .at_4, .at_6 and the file itself
}

TEST(Job, SnapshotsOfAContinuedRunCountOn) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.snapshot_every = 2;
    options.max_chunks = 2;
    Recorder recorder;
    run(options, recorder);
    options.in_files = {options.output.string() + ".at_2"};
    options.skip_chunks = 2;
    run(options, recorder = {});
    imatrix::Notes notes;
    EXPECT_EQ(imatrix::load(options.output.string() + ".at_2", {}, notes).chunk_count, 2u) << "as it was";
    EXPECT_EQ(imatrix::load(options.output.string() + ".at_4", {}, notes).chunk_count, 4u);
}

TEST(Job, ASaveThatFailsOnTheWayDoesNotEndTheRun) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.save_every = 2;
    options.save_every_given = true;
    options.snapshot_every = 4;
    std::filesystem::create_directory(options.output.string() + ".at_4");
    /// The output's place is taken by a folder until the last wave.
    struct InTheWay : Recorder {
        explicit InTheWay(std::filesystem::path path) : place(std::move(path)) {}
        void on_perplexity(std::int64_t chunk, double running) override {
            Recorder::on_perplexity(chunk, running);
            if (chunk == 1) std::filesystem::create_directory(place);
            if (chunk == 5) std::filesystem::remove(place);
        }
        std::filesystem::path place;
    } recorder(options.output);
    run(options, recorder);
    EXPECT_EQ(recorder.notes.size(), 3u) << "after two chunks, after four, and the snapshot";
    imatrix::Notes notes;
    EXPECT_EQ(imatrix::load(options.output, {}, notes).chunk_count, 6u);
}

TEST(Job, DoesNotWaitForASaveUntilTheNextWaveIsDone) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.save_every = 2;
    options.save_every_given = true;
    /// Reads the output, a pipe, from the moment when the second wave is under way.
    class Reader : public Recorder {
      public:
        explicit Reader(const std::filesystem::path& pipe)
            : thread_([this, pipe] {
                  std::unique_lock lock(mutex_);
                  in_time = changed_.wait_for(lock, std::chrono::seconds(20), [this] { return reading_; });
                  const int opened = ::open(pipe.c_str(), O_RDWR | O_NONBLOCK);  // its writers wait no more
                  std::vector<char> bytes(1 << 16);
                  while (!changed_.wait_for(lock, std::chrono::milliseconds(5), [this] { return ended_; }))
                      while (::read(opened, bytes.data(), bytes.size()) > 0) {
                      }
                  ::close(opened);
              }) {}
        ~Reader() override {
            {
                const std::lock_guard lock(mutex_);
                ended_ = true;
            }
            changed_.notify_all();
            thread_.join();
        }
        void on_progress(const Progress& progress) override {
            Recorder::on_progress(progress);
            if (progress.chunks_done < 2) return;
            const std::lock_guard lock(mutex_);
            reading_ = true;
            changed_.notify_all();
        }
        bool in_time = false;

      private:
        std::mutex mutex_;
        std::condition_variable changed_;
        bool reading_ = false;
        bool ended_ = false;
        std::thread thread_;
    };
    ASSERT_EQ(::mkfifo(options.output.c_str(), 0600), 0);
    Reader reader(options.output);
    run(options, reader);
    EXPECT_TRUE(reader.in_time) << "the run waited for its first save";
    EXPECT_EQ(reader.saved.size(), 3u);
}

TEST(Job, NoChunksLeaveTheMatrixAsItWas) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.max_chunks = 0;
    Recorder recorder;
    EXPECT_THROW(run(options, recorder), Error) << "there is nothing to store";
    EXPECT_FALSE(std::filesystem::exists(options.output));
    options.max_chunks = 2;
    run(options, recorder);
    options.max_chunks = 0;
    options.in_files = {options.output};
    options.output = fixture.folder().path() / "copy.gguf";
    run(options, recorder = {});
    imatrix::Notes notes;
    EXPECT_EQ(imatrix::load(options.output, {}, notes).chunk_count, 2u);
}

TEST(Job, StopsAtWholeChunksAndSaves) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.wave_chunks = 2;
    Recorder recorder;
    recorder.stop_after = 2;
    const Result result = run(options, recorder);
    EXPECT_TRUE(result.stopped);
    EXPECT_EQ(result.chunks_done, 2);
    imatrix::Notes notes;
    for (const auto& [name, entry] : imatrix::load(options.output, {}, notes).entries)
        EXPECT_EQ(entry.counts.front(), static_cast<double>(2 * options.n_ctx)) << name;
}

TEST(Job, AddsToLoadedMatrices) {
    const test::Fixture fixture("llama-moe");
    Options options = options_for(fixture);
    options.max_chunks = 2;
    Recorder recorder;
    run(options, recorder);
    Options again = options;
    again.in_files = {options.output};
    again.output = fixture.folder().path() / "sum.gguf";
    run(again, recorder = {});
    imatrix::Notes notes;
    const auto once = imatrix::load(options.output, {}, notes);
    const auto twice = imatrix::load(again.output, {}, notes);
    ASSERT_EQ(once.entries.size(), twice.entries.size());
    for (const auto& [name, entry] : twice.entries) {
        const imatrix::Entry& half = once.entries.find(name)->second;
        for (std::size_t i = 0; i < entry.counts.size(); ++i)
            EXPECT_EQ(entry.counts[i], 2 * half.counts[i]) << name;
        // The file holds f32: half an ulp from the load, half from the save.
        for (std::size_t i = 0; i < entry.sum_sq.size(); ++i)
            EXPECT_NEAR(entry.sum_sq[i], 2 * half.sum_sq[i], 2 * 0x1p-23 * half.sum_sq[i]) << name;
    }
    EXPECT_EQ(twice.datasets.size(), 2u);
}

TEST(Job, CollectsATiedOutputByItsName) {
    constexpr const char* kEmbedding = "token_embd.weight";
    const test::Fixture fixture("qwen3-yarn-dense");
    Options options = options_for(fixture);
    options.max_chunks = 2;
    Recorder recorder;
    const imatrix::Matrix plain = run(options, recorder).matrix;
    ASSERT_EQ(recorder.notes.size(), 1u);
    EXPECT_TRUE(recorder.notes[0].starts_with("--process-output collects nothing")) << recorder.notes[0];
    options.output_tensor_name = kEmbedding;
    recorder = {};
    imatrix::Matrix tied = run(options, recorder).matrix;
    EXPECT_TRUE(recorder.notes.empty());
    ASSERT_TRUE(tied.entries.contains(kEmbedding));
    EXPECT_EQ(tied.entries.at(kEmbedding).counts,
              std::vector<double>{2 * static_cast<double>(options.n_ctx)});
    tied.entries.erase(kEmbedding);
    EXPECT_EQ(plain.entries, tied.entries);
}

// The size of chunks is that of the first file, their number never falls, and counts in the run's own chunks.
TEST(Job, GoesOnFromAMatrixOfOtherChunks) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.max_chunks = 4;
    Recorder recorder;
    run(options, recorder);
    const auto tokens = static_cast<double>(4 * options.n_ctx);
    options.in_files = {options.output};
    options.n_ctx /= 2;
    options.snapshot_every = 9;  // 8 of this size were there
    options.max_chunks = 2;
    const imatrix::Matrix smaller = run(options, recorder = {}).matrix;
    EXPECT_EQ(smaller.chunk_size, fixture.run().n_ctx);
    EXPECT_EQ(smaller.entries.begin()->second.max_count(), tokens + static_cast<double>(2 * options.n_ctx));
    EXPECT_EQ(smaller.chunk_count, 10u);
    EXPECT_TRUE(std::filesystem::exists(options.output.string() + ".at_9"));
    options.in_files = {options.output};
    options.n_ctx = fixture.run().n_ctx;
    options.max_chunks = 1;
    EXPECT_EQ(run(options, recorder = {}).matrix.chunk_count, 6u) << "5 by the file, one more";
}

TEST(Job, WithoutChunksSavesWhatItLoaded) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.max_chunks = 1;
    Recorder recorder;
    run(options, recorder);
    options.in_files = {options.output};
    options.output = fixture.folder().path() / "again.gguf";
    options.max_chunks = 0;
    const Result result = run(options, recorder = {});
    EXPECT_EQ(result.chunks_done, 0);
    EXPECT_EQ(recorder.saved.size(), 1u);
    imatrix::Notes notes;
    const auto loaded = imatrix::load(options.in_files.front(), {}, notes);
    EXPECT_EQ(imatrix::load(options.output, {}, notes).entries, loaded.entries);
}

TEST(Job, KeepsLossesAndSimilarityInTheFile) {
    const test::Fixture fixture("qwen3moe-moe");
    Options options = options_for(fixture);
    options.similarity = true;
    Recorder recorder;
    const Result result = run(options, recorder);
    imatrix::Notes notes;
    const auto matrix = imatrix::load(options.output, {}, notes);
    perplexity::Sums sums;
    for (const auto& chunk : read_losses(matrix.extra)) sums.merge(chunk);
    EXPECT_DOUBLE_EQ(sums.running(), recorder.perplexities.back());
    const auto similarity = read_similarity(matrix.extra);
    for (const similarity::Kind kind : similarity::kKinds) {
        ASSERT_EQ(similarity.sums(kind).size(), 2u);  // layers
        for (const similarity::Sum& sum : similarity.sums(kind)) {
            EXPECT_EQ(sum.count, static_cast<std::uint64_t>(result.tokens));
            EXPECT_LE(std::abs(sum.cos.high), static_cast<double>(sum.count));
        }
        EXPECT_EQ(similarity.finish(kind).size(), result.similarity.finish(kind).size());
    }
}

TEST(Job, RefusesAnOutputThatCannotBeWrittenBeforeItComputes) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.output = fixture.folder().path() / "missing" / "out.gguf";
    Recorder recorder;
    EXPECT_THROW(run(options, recorder), Error);
    EXPECT_TRUE(recorder.perplexities.empty());
}

TEST(Job, RefusesAnEmptyText) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.text.clear();
    Recorder recorder;
    EXPECT_THROW(run(options, recorder), Error);
}

TEST(Job, ReadsATextThatIsNoUtf8) {
    const test::Fixture fixture("llama-dense");
    Options options = options_for(fixture);
    options.text = std::string(4000, '\xff') + options.text;
    options.max_chunks = 2;
    Recorder recorder;
    run(options, recorder);
    EXPECT_EQ(recorder.perplexities.size(), 2u);
}

}  // namespace
}  // namespace assay::calibrate
