#include "gguf/weight_stream.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "core/thread_pool.h"

namespace assay::gguf {

namespace {

constexpr std::uint64_t kAlignment = DirectFile::kAlignment;

std::uint64_t round_down(std::uint64_t value) noexcept { return value / kAlignment * kAlignment; }
std::uint64_t round_up(std::uint64_t value) noexcept { return round_down(value + kAlignment - 1); }

/// What a read of this range takes: it begins and ends at aligned offsets of the file.
std::uint64_t aligned_bytes(const TensorRange& range) noexcept {
    const std::uint64_t begin = range.tensor->offset_bytes + range.begin_bytes;
    return round_up(begin + range.size_bytes) - round_down(begin);
}

}  // namespace

std::uint64_t StreamStage::size_bytes(const std::vector<TensorRange>& ranges) noexcept {
    std::uint64_t total = 0;
    for (const TensorRange& range : ranges) total += aligned_bytes(range);
    return total;
}

StreamStage::StreamStage(const File& file, const std::vector<DirectFile>& shards,
                         const std::vector<TensorRange>& ranges, std::span<std::byte> memory)
    : TensorBytes(file) {
    for (const TensorRange& range : ranges) {
        const std::uint64_t begin = range.tensor->offset_bytes + range.begin_bytes;
        const std::uint64_t size = aligned_bytes(range);
        shards[range.tensor->shard].read(round_down(begin), memory.first(size));
        pieces_.push_back({range, memory.subspan(begin - round_down(begin), range.size_bytes)});
        memory = memory.subspan(size);
    }
}

std::span<const std::byte> StreamStage::get(const TensorRange& range) const {
    const auto holds = [&](const Piece& piece) {
        return piece.range.tensor == range.tensor && range.begin_bytes >= piece.range.begin_bytes &&
               range.begin_bytes + range.size_bytes <= piece.range.begin_bytes + piece.range.size_bytes;
    };
    const auto piece = std::ranges::find_if(pieces_, holds);
    if (piece == pieces_.end()) return TensorBytes::get(range);
    return piece->bytes.subspan(range.begin_bytes - piece->range.begin_bytes, range.size_bytes);
}

std::optional<std::uint64_t> Ring::place(std::uint64_t bytes) {
    std::uint64_t begin = runs_.empty() ? 0 : runs_.back().end;
    if (begin % size_bytes_ + bytes > size_bytes_) begin = (begin / size_bytes_ + 1) * size_bytes_;
    const std::uint64_t oldest = runs_.empty() ? begin : runs_.front().begin;
    if (begin + bytes - oldest > size_bytes_) return std::nullopt;
    runs_.push_back({begin, begin + bytes});
    return begin % size_bytes_;
}

namespace {

std::uint64_t largest_stage(const std::vector<std::vector<TensorRange>>& jobs) {
    std::uint64_t largest = 0;
    for (const auto& ranges : jobs) largest = std::max(largest, StreamStage::size_bytes(ranges));
    return largest;
}

}  // namespace

WeightStream::WeightStream(const File& file, std::vector<std::vector<TensorRange>> jobs,
                           std::uint64_t bound_bytes, std::size_t n_readers)
    : file_(file),
      jobs_(std::move(jobs)),
      memory_(std::max(bound_bytes, largest_stage(jobs_))),
      ring_(memory_.bytes().size()),
      readers_(n_readers) {
    for (std::size_t shard = 0; shard < file.n_shards(); ++shard)
        shards_.emplace_back(file.shard(shard).path());
    thread_ = start_thread([this] { work(); });
}

WeightStream::~WeightStream() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void WeightStream::work() {
    using Clock = std::chrono::steady_clock;
    try {
        for (const auto& ranges : jobs_) {
            const std::uint64_t bytes = StreamStage::size_bytes(ranges);
            std::optional<std::uint64_t> place;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return stop_ || (place = ring_.place(bytes)); });
                if (stop_) return;
            }
            const auto start = Clock::now();
            auto stage = std::make_shared<const StreamStage>(file_, shards_, ranges,
                                                             memory_.bytes().subspan(*place, bytes));
            const std::lock_guard lock(mutex_);
            reading_seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
            stages_.push_back(std::move(stage));
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
    for (; n_released_ < least && !stages_.empty(); ++n_released_) {
        stages_.pop_front();
        ring_.release();
    }
    changed_.notify_all();
}

std::shared_ptr<const StreamStage> WeightStream::take(std::size_t reader) {
    std::unique_lock lock(mutex_);
    Reader& self = readers_.at(reader);
    self.done = self.next;
    release_done();
    const auto at_hand = [&] { return self.next < n_released_ + stages_.size(); };
    changed_.wait(lock, [&] { return self.interrupted || at_hand() || failure_; });
    if (self.interrupted) throw Error(ErrorKind::Internal, "", "the reader of a stream was interrupted");
    if (!at_hand()) std::rethrow_exception(failure_);
    return stages_[self.next++ - n_released_];
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

std::vector<std::unique_ptr<StreamReader>> open_stream(const File& file,
                                                       std::vector<std::vector<TensorRange>> jobs,
                                                       std::uint64_t bound_bytes, std::size_t n_readers) {
    const auto stream = std::make_shared<WeightStream>(file, std::move(jobs), bound_bytes, n_readers);
    std::vector<std::unique_ptr<StreamReader>> readers;
    for (std::size_t i = 0; i < n_readers; ++i) readers.push_back(std::make_unique<StreamReader>(stream, i));
    return readers;
}

double WeightStream::reading_seconds() const {
    const std::lock_guard lock(mutex_);
    return reading_seconds_;
}

}  // namespace assay::gguf
