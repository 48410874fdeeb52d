#include "gguf/weight_stream.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "core/thread_pool.h"
#include "gguf/host_ring.h"

namespace assay::gguf {

namespace {

constexpr std::uint64_t kAlignment = DirectFile::kAlignment;

std::uint64_t round_down(std::uint64_t value) noexcept { return value / kAlignment * kAlignment; }
std::uint64_t round_up(std::uint64_t value) noexcept { return round_down(value + kAlignment - 1); }

/// In the file.
std::uint64_t begin_of(const TensorRange& range) noexcept {
    return range.tensor->offset_bytes + range.begin_bytes;
}

/// What a read of this range takes: it begins and ends at aligned offsets of the file.
std::uint64_t aligned_bytes(const TensorRange& range) noexcept {
    return round_up(begin_of(range) + range.size_bytes) - round_down(begin_of(range));
}

}  // namespace

std::uint64_t JobBytes::size_bytes(const std::vector<TensorRange>& ranges) noexcept {
    std::uint64_t total = 0;
    for (const TensorRange& range : ranges) total += aligned_bytes(range);
    return total;
}

void JobBytes::read(const FileRanges& reads, const std::vector<DirectFile>& shards,
                    std::span<std::byte> memory) {
    for (const TensorRange& range : reads.ranges) {
        const std::uint64_t size = aligned_bytes(range);
        shards[range.tensor->shard].read(round_down(begin_of(range)), memory.first(size));
        memory = memory.subspan(size);
    }
}

JobBytes::JobBytes(const FileRanges& reads, std::span<const std::byte> memory) : TensorBytes(*reads.file) {
    for (const TensorRange& range : reads.ranges) {
        const std::uint64_t begin = begin_of(range);
        pieces_.push_back({range, memory.subspan(begin - round_down(begin), range.size_bytes)});
        memory = memory.subspan(aligned_bytes(range));
    }
}

std::span<const std::byte> JobBytes::get(const TensorRange& range) const {
    const auto holds = [&](const Piece& piece) {
        return piece.range.tensor == range.tensor && range.begin_bytes >= piece.range.begin_bytes &&
               range.begin_bytes + range.size_bytes <= piece.range.begin_bytes + piece.range.size_bytes;
    };
    const auto piece = std::ranges::find_if(pieces_, holds);
    if (piece == pieces_.end()) return TensorBytes::get(range);
    return piece->bytes.subspan(range.begin_bytes - piece->range.begin_bytes, range.size_bytes);
}

namespace {

std::uint64_t largest_job(const std::vector<FileRanges>& jobs) {
    std::uint64_t largest = 0;
    for (const FileRanges& job : jobs) largest = std::max(largest, JobBytes::size_bytes(job.ranges));
    return largest;
}

}  // namespace

WeightStream::WeightStream(std::vector<FileRanges> jobs, std::unique_ptr<JobMemory> memory,
                           std::size_t n_readers)
    : jobs_(std::move(jobs)), memory_(std::move(memory)), readers_(n_readers) {
    for (const FileRanges& job : jobs_) {
        const auto [shards, is_new] = shards_.try_emplace(job.file);
        for (std::size_t shard = 0; is_new && shard < job.file->n_shards(); ++shard)
            shards->second.emplace_back(job.file->shard(shard).path());
    }
    thread_ = start_thread([this] { work(); });
}

WeightStream::~WeightStream() {
    memory_->stop();
    thread_.join();
}

void WeightStream::read(const FileRanges& job, std::span<std::byte> memory) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    JobBytes::read(job, shards_.at(job.file), memory);
    const std::lock_guard lock(mutex_);
    read_from_disk_.bytes += memory.size();
    read_from_disk_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
}

void WeightStream::work() {
    try {
        for (const FileRanges& job : jobs_) {
            const auto memory = memory_->next(JobBytes::size_bytes(job.ranges),
                                              [&](std::span<std::byte> to) { read(job, to); });
            if (!memory) return;
            auto bytes = std::make_shared<const JobBytes>(job, *memory);
            const std::lock_guard lock(mutex_);
            read_.push_back(std::move(bytes));
            release_done();  // the last readers may have left meanwhile; wakes those who wait
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

void WeightStream::release_done() {
    const auto least = std::ranges::min(readers_, {}, &Reader::done).done;
    for (; n_released_ < least && !read_.empty(); ++n_released_) {
        read_.pop_front();
        memory_->release();
    }
    changed_.notify_all();
}

std::shared_ptr<const JobBytes> WeightStream::take(std::size_t reader) {
    std::unique_lock lock(mutex_);
    Reader& self = readers_.at(reader);
    self.done = self.next;
    release_done();
    const auto at_hand = [&] { return self.next < n_released_ + read_.size(); };
    changed_.wait(lock, [&] { return self.interrupted || at_hand() || failure_; });
    if (self.interrupted) throw Error(ErrorKind::Internal, "", "the reader of a stream was interrupted");
    if (!at_hand()) std::rethrow_exception(failure_);
    return read_[self.next++ - n_released_];
}

void WeightStream::interrupt(std::size_t reader) {
    const std::lock_guard lock(mutex_);
    readers_.at(reader).interrupted = true;
    changed_.notify_all();
}

void WeightStream::leave(std::size_t reader) {
    const std::lock_guard lock(mutex_);
    readers_.at(reader).done = jobs_.size();
    release_done();
}

std::vector<std::unique_ptr<StreamReader>> open_stream(std::vector<FileRanges> jobs,
                                                       std::uint64_t bound_bytes, std::size_t n_readers,
                                                       HostRing* shared) {
    std::unique_ptr<JobMemory> memory;
    if (shared != nullptr) memory = shared->join(jobs);
    if (memory == nullptr) memory = std::make_unique<OwnRing>(std::max(bound_bytes, largest_job(jobs)));
    const auto stream = std::make_shared<WeightStream>(std::move(jobs), std::move(memory), n_readers);
    std::vector<std::unique_ptr<StreamReader>> readers;
    for (std::size_t i = 0; i < n_readers; ++i) readers.push_back(std::make_unique<StreamReader>(stream, i));
    return readers;
}

ReadFromDisk WeightStream::read_from_disk() const {
    const std::lock_guard lock(mutex_);
    return read_from_disk_;
}

}  // namespace assay::gguf
