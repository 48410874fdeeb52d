#include "core/thread_pool.h"

#include <optional>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/processors.h"

namespace assay {

std::thread start_thread(std::function<void()> work) {
    try {
        return std::thread(std::move(work));
    } catch (const std::system_error& error) {
        throw_error(ErrorKind::Io, "threads", "the system gives no more of them: {}", error.code().message());
    }
}

ThreadPool::ThreadPool(int n_threads, const std::vector<int>& places) {
    if (n_threads < 1) throw_error(ErrorKind::Usage, "threads", "{} given, expected at least 1", n_threads);
    // First, so that there is a place for each thread that runs.
    threads_.reserve(static_cast<std::size_t>(n_threads) - 1);
    try {
        for (int i = 1; i < n_threads; ++i) {
            const auto place = static_cast<std::size_t>(i) < places.size()
                                   ? std::optional(places[static_cast<std::size_t>(i)])
                                   : std::nullopt;
            threads_.push_back(start_thread([this, i, place] {
                if (place) settle_thread(*place);
                work(i);
            }));
        }
    } catch (...) {
        end_threads();
        throw;
    }
}

ThreadPool::~ThreadPool() { end_threads(); }

void ThreadPool::end_threads() noexcept {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void ThreadPool::run(std::int64_t n_tasks, const std::function<void(std::int64_t, int)>& body) {
    if (n_tasks <= 0) return;
    if (threads_.empty() || n_tasks == 1) {
        for (std::int64_t task = 0; task < n_tasks; ++task) body(task, 0);
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        body_ = &body;
        n_tasks_ = n_tasks;
        next_ = 0;
        failure_ = nullptr;
        busy_ = static_cast<int>(threads_.size());
        ++generation_;
    }
    wake_.notify_all();
    drain(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::work(int thread) {
    std::uint64_t seen = 0;
    while (true) {
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
            if (stop_) return;
            seen = generation_;
        }
        drain(thread);
        const std::lock_guard lock(mutex_);
        if (--busy_ == 0) done_.notify_one();
    }
}

void ThreadPool::drain(int thread) {
    while (true) {
        const std::int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
        if (task >= n_tasks_) return;
        try {
            (*body_)(task, thread);
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failure_) failure_ = std::current_exception();
            next_ = n_tasks_;
        }
    }
}

}  // namespace assay
