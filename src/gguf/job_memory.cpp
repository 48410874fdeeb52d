#include "gguf/job_memory.h"

namespace assay::gguf {

std::optional<RingRun> place_run(std::uint64_t size_bytes, const RingRun* oldest, const RingRun* newest,
                                 std::uint64_t bytes) noexcept {
    std::uint64_t begin = newest != nullptr ? newest->end : 0;
    if (begin % size_bytes + bytes > size_bytes) begin = (begin / size_bytes + 1) * size_bytes;
    if (begin + bytes - (oldest != nullptr ? oldest->begin : begin) > size_bytes) return std::nullopt;
    return RingRun{begin, begin + bytes};
}

std::optional<std::span<const std::byte>> OwnRing::next(std::uint64_t size_bytes, const Read& read) {
    std::optional<RingRun> run;
    const auto place = [&] {
        const bool empty = runs_.empty();
        run = place_run(memory_.bytes().size(), empty ? nullptr : &runs_.front(),
                        empty ? nullptr : &runs_.back(), size_bytes);
        return run.has_value();
    };
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stop_ || place(); });
        if (stop_) return std::nullopt;
        runs_.push_back(*run);
    }
    const auto memory = memory_.bytes().subspan(run->begin % memory_.bytes().size(), size_bytes);
    read(memory);
    return memory;
}

void OwnRing::release() {
    const std::lock_guard lock(mutex_);
    runs_.pop_front();
    changed_.notify_all();
}

void OwnRing::stop() {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
}

}  // namespace assay::gguf
