// Ranks as threads, each with a mapping of its own, or as processes: what they read together is the model
// once.
#include "gguf/host_ring.h"

#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "core/error.h"
#include "gguf/weight_stream.h"
#include "support/fixture.h"

namespace assay::gguf {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{60000};
constexpr milliseconds kShort{50};

class HostRingTest : public testing::Test {
  protected:
    HostRingTest() {
        for (const Tensor& tensor : file_.tensors())
            jobs_.push_back({&file_, {{&tensor, 0, tensor.size_bytes}}});
        for (const FileRanges& job : jobs_) model_bytes_ += JobBytes::size_bytes(job.ranges);
    }

    /// The ring as each rank has it.
    void open(std::size_t n_ranks, std::uint64_t bound_bytes, milliseconds patience = kLong) {
        rings_.push_back(std::make_unique<HostRing>(jobs_, bound_bytes, n_ranks, patience));
        for (std::size_t rank = 1; rank < n_ranks; ++rank)
            rings_.push_back(std::make_unique<HostRing>(rings_[0]->name(), jobs_, rank, patience));
    }
    std::unique_ptr<StreamReader> join(std::size_t rank) {
        return std::move(open_stream(jobs_, 1, 1, rings_[rank].get()).front());
    }
    /// Takes so many jobs more, from the `first` on, and checks them.
    void take(StreamReader& reader, std::size_t first, std::size_t count) const {
        for (std::size_t i = first; i < first + count; ++i) {
            const auto job = reader.take();
            const TensorRange& range = jobs_[i].ranges.front();
            EXPECT_TRUE(std::ranges::equal(job->get(range), TensorBytes(file_).get(range)))
                << range.tensor->name;
        }
    }
    /// A wave of one rank. Returns what this rank has read from disk for it.
    std::uint64_t wave(std::size_t rank) {
        const auto reader = join(rank);
        take(*reader, 0, jobs_.size());
        return reader->read_from_disk().bytes;
    }
    /// body(rank) on a thread for each of these.
    template <typename Body> static void on_threads(const std::vector<std::size_t>& ranks, Body body) {
        std::vector<std::thread> threads;
        for (const std::size_t rank : ranks) threads.emplace_back([&body, rank] { body(rank); });
        for (std::thread& thread : threads) thread.join();
    }
    /// body() in a process of its own, which does not come to an end by itself.
    template <typename Body> static pid_t start_process(Body body) {
        const pid_t child = ::fork();
        if (child != 0) return child;
        body();
        while (true) ::pause();
    }
    static void kill(pid_t process) {
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
    }
    std::uint64_t shared_bytes() const { return rings_[0]->read_bytes(); }

    test::Fixture fixture_{"llama-dense"};
    File file_ = File::open(fixture_.model());
    std::vector<FileRanges> jobs_;
    std::uint64_t model_bytes_ = 0;
    std::vector<std::unique_ptr<HostRing>> rings_;
};

TEST_F(HostRingTest, RanksReadEachByteOnce) {
    for (const std::uint64_t bound : {std::uint64_t{1}, model_bytes_ / 3, 3 * model_bytes_}) {
        rings_.clear();
        open(3, bound);
        std::atomic<std::uint64_t> read = 0;
        on_threads({0, 1, 2}, [&](std::size_t rank) {
            for (int i = 0; i < 4; ++i) read += wave(rank);  // without a word between them
            rings_[rank]->rest();
        });
        EXPECT_EQ(read, 4 * model_bytes_) << bound;
        EXPECT_EQ(shared_bytes(), read);
    }
}

TEST_F(HostRingTest, ARankWithSeveralDevicesIsOneReader) {
    open(2, 1);
    std::atomic<std::uint64_t> read = 0;
    on_threads({0, 1}, [&](std::size_t rank) {
        const auto readers = open_stream(jobs_, 1, 2, rings_[rank].get());
        on_threads({0, 1}, [&](std::size_t device) { take(*readers[device], 0, jobs_.size()); });
        read += readers[0]->read_from_disk().bytes;
    });
    EXPECT_EQ(read, model_bytes_);
}

TEST_F(HostRingTest, WhoLeavesInTheMiddleHoldsNobodyUp) {
    open(3, 1);
    std::atomic<std::uint64_t> read = 0;
    on_threads({0, 1, 2}, [&](std::size_t rank) {
        if (rank != 1) {
            read += wave(rank);
        } else {
            const auto reader = join(rank);
            take(*reader, 0, jobs_.size() / 2);
            read += reader->read_from_disk().bytes;
        }
        rings_[rank]->rest();
    });
    // What the one that left was reading meanwhile is not in its count.
    EXPECT_EQ(shared_bytes(), model_bytes_);
    EXPECT_LE(read, model_bytes_);
    // Where all leave, the next reading begins at its start.
    on_threads({0, 1, 2}, [&](std::size_t rank) {
        rings_[rank]->begin(2);
        take(*join(rank), 0, 1);
    });
    const std::uint64_t before = shared_bytes();
    for (const std::size_t rank : {0, 1, 2}) rings_[rank]->rest();
    rings_[1]->begin(3);
    on_threads({0, 1, 2}, [&](std::size_t rank) { wave(rank); });
    EXPECT_LE(shared_bytes() - before, model_bytes_) << "what is still in the ring is not read again";
}

TEST_F(HostRingTest, NobodyWaitsForRanksWithoutAWave) {
    open(3, 1);
    rings_[2]->rest();
    on_threads({0, 1}, [&](std::size_t rank) { wave(rank); });
    EXPECT_EQ(shared_bytes(), model_bytes_);
    rings_[1]->rest();
    wave(0);
    EXPECT_EQ(shared_bytes(), 2 * model_bytes_);
    rings_[2]->retire();
    rings_[0]->begin(1);
    on_threads({0, 1}, [&](std::size_t rank) { wave(rank); });
    EXPECT_EQ(shared_bytes(), 3 * model_bytes_);
}

TEST_F(HostRingTest, WhoComesLateIsWaitedForUntilTheRingIsFull) {
    open(2, 1);
    std::atomic<bool> first_has_one = false;
    on_threads({0, 1}, [&](std::size_t rank) {
        while (rank == 1 && !first_has_one) std::this_thread::yield();
        const auto reader = join(rank);
        take(*reader, 0, 1);
        first_has_one = true;
        take(*reader, 1, jobs_.size() - 1);
    });
    EXPECT_EQ(shared_bytes(), model_bytes_);
}

TEST_F(HostRingTest, WhoComesTooLateReadsAloneUntilTheyBeginTogether) {
    open(2, 1, kShort);
    auto first = join(0);
    take(*first, 0, 2);  // the other's patience is over by then
    EXPECT_EQ(wave(1), model_bytes_);
    take(*first, 2, jobs_.size() - 2);
    EXPECT_EQ(shared_bytes(), model_bytes_);
    first.reset();
    for (auto& ring : rings_) ring->begin(2);
    on_threads({0, 1}, [&](std::size_t rank) { wave(rank); });
    EXPECT_EQ(shared_bytes(), 2 * model_bytes_);
}

TEST_F(HostRingTest, WhoComesLateTakesWhatIsStillThere) {
    open(2, model_bytes_, kShort);  // the first job stays
    rings_[1]->rest();
    const auto one = join(0);
    take(*one, 0, jobs_.size());
    EXPECT_EQ(wave(1), 0);
    EXPECT_EQ(shared_bytes(), model_bytes_);
}

TEST_F(HostRingTest, WhoIsInterruptedWaitsNoMore) {
    open(2, 1);
    {
        const auto reader = join(0);
        take(*reader, 0, 1);
        std::thread interrupts([&] { reader->interrupt(); });
        EXPECT_THROW(take(*reader, 1, 1), Error);
        interrupts.join();
    }
    rings_[0]->rest();
    wave(1);
    EXPECT_EQ(shared_bytes(), model_bytes_);
}

TEST_F(HostRingTest, AReadingThatFailsIsTriedByOthers) {
    open(2, 1);
    const std::uint64_t size = JobBytes::size_bytes(jobs_[0].ranges);
    const auto first = rings_[0]->join(jobs_), second = rings_[1]->join(jobs_);
    const auto fails = [](std::span<std::byte>) { throw Error(ErrorKind::Io, "disk", "fails"); };
    EXPECT_THROW(first->next(size, fails), Error);
    EXPECT_EQ(shared_bytes(), 0u);
    bool tried = false;
    const auto memory = second->next(size, [&](std::span<std::byte> to) {
        tried = true;
        std::ranges::fill(to, std::byte{7});
    });
    EXPECT_TRUE(tried);
    ASSERT_TRUE(memory);
    EXPECT_EQ(memory->front(), std::byte{7});
    EXPECT_EQ(shared_bytes(), size);
}

// All who read have left in the middle, and one never came: the next reading is everybody's.
TEST_F(HostRingTest, WhoWasNotThereBeginsWithTheNextReading) {
    open(3, 1);
    on_threads({0, 1}, [&](std::size_t rank) { take(*join(rank), 0, 1); });
    const std::uint64_t before = shared_bytes();
    std::atomic<std::uint64_t> read = 0;
    std::atomic<int> n_joined = 0;
    on_threads({0, 1, 2}, [&](std::size_t rank) {
        while (rank == 2 && n_joined < 2) std::this_thread::yield();
        const auto reader = join(rank);
        ++n_joined;
        take(*reader, 0, jobs_.size());
        read += reader->read_from_disk().bytes;
    });
    EXPECT_EQ(read, model_bytes_);
    EXPECT_EQ(shared_bytes() - before, model_bytes_);
}

TEST_F(HostRingTest, WhoIsKilledHoldsNobodyUp) {
    open(4, 1);
    int begun[2];
    ASSERT_EQ(::pipe(begun), 0);
    const auto say = [&] { EXPECT_EQ(::write(begun[1], "x", 1), 1); };
    const auto hear = [&] {
        char c = 0;
        ASSERT_EQ(::read(begun[0], &c, 1), 1);
    };
    // One dies while it reads the first job, another while it holds it.
    const pid_t reads = start_process([&] {
        HostRing ring(rings_[0]->name(), jobs_, 2, kLong);
        const auto reading = ring.join(jobs_);
        reading->next(JobBytes::size_bytes(jobs_[0].ranges), [&](std::span<std::byte>) {
            say();
            while (true) ::pause();
        });
    });
    hear();
    const pid_t holds = start_process([&] {
        HostRing ring(rings_[0]->name(), jobs_, 3, kLong);
        const auto reader = std::move(open_stream(jobs_, 1, 1, &ring).front());
        const auto job = reader->take();
        say();
        while (true) ::pause();
    });
    std::thread kills([&] {
        kill(reads);
        hear();  // which may have read in its place
        kill(holds);
    });
    on_threads({0, 1}, [&](std::size_t rank) { wave(rank); });
    kills.join();
    EXPECT_EQ(shared_bytes(), model_bytes_);
    ::close(begun[0]);
    ::close(begun[1]);
}

TEST_F(HostRingTest, NoMomentOfDeathLeavesOthersWaiting) {
    std::mt19937 random(20261128);
    int n_told = 0;
    for (int i = 0; i < 8; ++i) {
        rings_.clear();
        open(2, 1, kShort);
        const pid_t doomed = start_process([&] {
            HostRing ring(rings_[0]->name(), jobs_, 1, kShort);
            while (true) {
                const auto reading = ring.join(jobs_);
                for (const FileRanges& job : jobs_) {
                    if (reading == nullptr) break;
                    reading->next(JobBytes::size_bytes(job.ranges), [](std::span<std::byte>) {});
                    reading->release();
                }
            }
        });
        const auto moment = std::chrono::microseconds(1000 + random() % 20000);
        std::thread kills([&] {
            std::this_thread::sleep_for(moment);
            kill(doomed);
        });
        try {
            for (int n = 0; n < 3; ++n) {
                const auto reader = join(0);
                for (std::size_t job = 0; job < jobs_.size(); ++job) reader->take();
            }
        } catch (const Error& error) {  // it died while it wrote
            EXPECT_EQ(error.message(), "another rank of this machine has ended");
            ++n_told;
        }
        kills.join();
    }
    EXPECT_LT(n_told, 8);
}

TEST_F(HostRingTest, IsFoundByItsNameAlone) {
    open(2, 1);
    const HostRingName name = rings_[0]->name();
    EXPECT_THROW(HostRing({name.process, name.descriptor, name.key + 1}, jobs_, 1), Error);
    EXPECT_THROW(HostRing({name.process, STDIN_FILENO, name.key}, jobs_, 1), Error);
    EXPECT_THROW(HostRing({0, name.descriptor, name.key}, jobs_, 1), Error);
    EXPECT_THROW(HostRing(name, jobs_, 2), Error) << "there is no such rank";
    auto others = jobs_;
    std::swap(others[0], others[1]);
    EXPECT_THROW(HostRing(name, others, 1), Error);
    EXPECT_EQ(rings_[1]->join({others.begin(), others.begin() + 1}), nullptr);
}

}  // namespace
}  // namespace assay::gguf
