#include "engine/team.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/thread_pool.h"
#include "engine/gathering.h"

namespace assay::engine {

namespace {

/// The part of a wave that one member takes.
Wave part_of(const Wave& wave, const ChunkRange& chunks, WaveKeeper* keeper) {
    const std::int64_t first = chunks.first - wave.first_chunk;
    const auto token = static_cast<std::size_t>(wave.first_token(first));
    Wave part = wave;
    part.first_chunk = chunks.first;
    part.starts =
        wave.starts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(chunks.count + 1));
    const auto n_tokens = static_cast<std::size_t>(part.n_tokens());
    part.inputs = wave.inputs.subspan(token, n_tokens);
    part.targets = wave.targets.subspan(token, n_tokens);
    if (!wave.weights.empty()) part.weights = wave.weights.subspan(token, n_tokens);
    part.keeper = keeper;
    return part;
}

/// How far the members are, and whether they should go on.
class Standing {
  public:
    Standing(std::size_t n_members, Gathering& gathering) : steps_(n_members, 0), gathering_(gathering) {}

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
    Gathering& gathering_;
};

}  // namespace

std::vector<ChunkRange> deal_chunks(const Wave& wave, std::size_t n) {
    const auto members = std::min(static_cast<std::int64_t>(n), wave.n_chunks());
    std::vector<ChunkRange> parts;
    std::int64_t next = 0;
    for (std::int64_t left = members; left > 0; --left) {
        const std::int64_t first = next;
        // The members behind this one need a chunk each.
        const std::int64_t end = wave.n_chunks() - left + 1;
        const std::int64_t share = (wave.n_tokens() - wave.first_token(first) + left - 1) / left;
        do ++next;
        while (next < end && (left == 1 || wave.first_token(next) - wave.first_token(first) < share));
        parts.push_back({wave.first_chunk + first, next - first});
    }
    return parts;
}

Team::Team(const plan::PassPlan& plan, const std::vector<backend::Backend*>& backends,
           const Placement& placement) {
    for (backend::Backend* backend : backends)
        members_.push_back(std::make_unique<Pass>(plan, *backend, placement));
}

void Team::run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress) {
    const std::vector<ChunkRange> parts = deal_chunks(wave, members_.size());
    if (parts.size() <= 1) return members_.front()->run(wave, sink, progress);
    Gathering gathering(wave.keeper, parts.size());
    Standing standing(parts.size(), gathering);
    std::vector<std::unique_ptr<gguf::StreamReader>> readers =
        members_.front()->open_streams(wave, parts.size());
    std::vector<std::thread> threads;
    threads.reserve(parts.size());
    const auto run_member = [&](std::size_t i, std::unique_ptr<gguf::StreamReader> reader) {
        try {
            members_[i]->run(
                part_of(wave, parts[i], wave.keeper != nullptr ? &gathering : nullptr), sink,
                [&](std::int64_t steps) { standing.step(i, steps); }, std::move(reader));
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
