#include "engine/weight_stream.h"

#include <algorithm>
#include <chrono>

namespace assay::engine {

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

std::uint64_t Stage::size_bytes(const std::vector<TensorRange>& ranges) noexcept {
    std::uint64_t total = 0;
    for (const TensorRange& range : ranges) total += aligned_bytes(range);
    return total;
}

Stage::Stage(const gguf::File& file, const std::vector<DirectFile>& shards,
             const std::vector<TensorRange>& ranges)
    : TensorBytes(file) {
    for (const TensorRange& range : ranges) {
        const std::uint64_t begin = range.tensor->offset_bytes + range.begin_bytes;
        const std::uint64_t size = aligned_bytes(range);
        Piece piece{range, PageMemory(size), begin - round_down(begin)};
        shards[range.tensor->shard].read(round_down(begin), piece.memory.bytes());
        pieces_.push_back(std::move(piece));
    }
}

std::span<const std::byte> Stage::get(const TensorRange& range) const {
    const auto holds = [&](const Piece& piece) {
        return piece.range.tensor == range.tensor && range.begin_bytes >= piece.range.begin_bytes &&
               range.begin_bytes + range.size_bytes <= piece.range.begin_bytes + piece.range.size_bytes;
    };
    const auto piece = std::ranges::find_if(pieces_, holds);
    if (piece == pieces_.end()) return TensorBytes::get(range);
    const std::uint64_t skip = piece->skip_bytes + (range.begin_bytes - piece->range.begin_bytes);
    return piece->memory.bytes().subspan(skip, range.size_bytes);
}

WeightStream::WeightStream(const gguf::File& file, std::vector<std::vector<TensorRange>> jobs,
                           std::uint64_t bound_bytes)
    : file_(file), jobs_(std::move(jobs)), bound_bytes_(bound_bytes) {
    for (std::size_t shard = 0; shard < file.n_shards(); ++shard)
        shards_.emplace_back(file.shard(shard).path());
    thread_ = std::thread([this] { work(); });
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
            const std::uint64_t bytes = Stage::size_bytes(ranges);
            {
                std::unique_lock lock(mutex_);
                changed_.wait(
                    lock, [&] { return stop_ || held_bytes_ == 0 || held_bytes_ + bytes <= bound_bytes_; });
                if (stop_) return;
                held_bytes_ += bytes;
            }
            const auto start = Clock::now();
            auto stage = std::make_unique<Stage>(file_, shards_, ranges);
            const std::lock_guard lock(mutex_);
            reading_seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
            ready_.push_back(std::move(stage));
            changed_.notify_all();
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

std::unique_ptr<Stage> WeightStream::take() {
    std::unique_lock lock(mutex_);
    held_bytes_ -= taken_bytes_;
    taken_bytes_ = 0;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !ready_.empty() || failure_; });
    if (ready_.empty()) std::rethrow_exception(failure_);
    std::unique_ptr<Stage> stage = std::move(ready_.front());
    ready_.pop_front();
    taken_bytes_ = Stage::size_bytes(jobs_[next_taken_++]);
    return stage;
}

double WeightStream::reading_seconds() const {
    const std::lock_guard lock(mutex_);
    return reading_seconds_;
}

}  // namespace assay::engine
