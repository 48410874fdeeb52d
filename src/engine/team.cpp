#include "engine/team.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/thread_pool.h"
#include "engine/gathering.h"
#include "engine/turns.h"

namespace assay::engine {

namespace {

/// The part of a wave that one member takes.
Wave part_of(const Wave& wave, const ChunkRange& chunks, std::int64_t n_ctx, WaveKeeper* keeper) {
    const auto first = static_cast<std::size_t>((chunks.first - wave.first_chunk) * n_ctx);
    const auto count = static_cast<std::size_t>(chunks.count * n_ctx);
    return {chunks.first,
            chunks.count,
            wave.inputs.subspan(first, count),
            wave.targets.subspan(first, count),
            wave.forced,
            wave.start,
            keeper};
}

/// How far the members are, and whether they should go on.
class Standing {
  public:
    Standing(std::size_t n_members, Turns& turns, Gathering& gathering)
        : steps_(n_members, 0), turns_(turns), gathering_(gathering) {}

    void step(std::size_t member, std::int64_t steps) {
        const std::lock_guard lock(mutex_);
        if (failure_) throw Error(ErrorKind::Internal, "", "another member has failed");
        steps_[member] = steps;
        changed_.notify_all();
    }
    /// Only the first counts: others follow from it.
    void fail(std::exception_ptr failure) {
        {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::move(failure);
            changed_.notify_all();
        }
        turns_.cancel();
        gathering_.cancel();
    }
    /// Waits until all members have done more than `steps`, and says how many; `steps` itself after a
    /// failure.
    std::int64_t wait_beyond(std::int64_t steps) {
        std::unique_lock lock(mutex_);
        const auto least = [this] { return *std::ranges::min_element(steps_); };
        changed_.wait(lock, [&] { return failure_ || least() > steps; });
        return failure_ ? steps : least();
    }
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::int64_t> steps_;
    std::exception_ptr failure_;
    Turns& turns_;
    Gathering& gathering_;
};

}  // namespace

std::vector<ChunkRange> deal_chunks(std::int64_t first_chunk, std::int64_t n_chunks, std::size_t n) {
    const auto members = std::min(static_cast<std::int64_t>(n), n_chunks);
    std::vector<ChunkRange> parts;
    for (std::int64_t i = 0; i < members; ++i) {
        const std::int64_t count = n_chunks / members + (i < n_chunks % members ? 1 : 0);
        parts.push_back({first_chunk, count});
        first_chunk += count;
    }
    return parts;
}

Team::Team(const plan::PassPlan& plan, const std::vector<backend::Backend*>& backends,
           const Placement& placement)
    : n_ctx_(plan.options().n_ctx) {
    for (backend::Backend* backend : backends)
        members_.push_back(std::make_unique<Pass>(plan, *backend, placement));
}

void Team::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress) {
    const std::vector<ChunkRange> parts = deal_chunks(wave.first_chunk, wave.n_chunks, members_.size());
    if (parts.size() <= 1) return members_.front()->run(wave, sink, progress);
    Turns turns(wave.first_chunk);
    Gathering gathering(wave.keeper, parts.size());
    Standing standing(parts.size(), turns, gathering);
    std::vector<std::unique_ptr<gguf::StreamReader>> readers =
        members_.front()->open_streams(wave, parts.size());
    std::vector<std::thread> threads;
    const auto run_member = [&](std::size_t i, std::unique_ptr<gguf::StreamReader> reader) {
        try {
            members_[i]->run(
                part_of(wave, parts[i], n_ctx_, wave.keeper != nullptr ? &gathering : nullptr), sink,
                [&](std::int64_t steps) { standing.step(i, steps); }, std::move(reader), &turns);
        } catch (...) {
            standing.fail(std::current_exception());
        }
    };
    try {
        for (std::size_t i = 0; i < parts.size(); ++i)
            threads.push_back(start_thread([&, i] { run_member(i, std::move(readers[i])); }));
        const std::int64_t n_steps = members_.front()->plan().n_steps();
        for (std::int64_t told = 0; told < n_steps;) {
            const std::int64_t steps = standing.wait_beyond(told);
            if (steps == told) break;
            progress(told = steps);
        }
    } catch (...) {
        standing.fail(std::current_exception());
        // The others must not wait for members that did not start.
        for (std::size_t i = threads.size(); i < parts.size(); ++i) readers[i].reset();
    }
    for (std::thread& thread : threads) thread.join();
    standing.rethrow();
}

}  // namespace assay::engine
