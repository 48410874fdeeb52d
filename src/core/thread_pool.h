// A fixed set of threads that share numbered tasks. The only place where threads for computing are made.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace assay {

/// Throws Error{Io} where the system gives none: its limits of processes or of memory are reached.
std::thread start_thread(std::function<void()> work);

/// run() is for one caller at a time. Tasks are taken in increasing order by whichever thread is free, so a
/// result must not depend on which thread does a task: let each task own its output and reduce in task order.
class ThreadPool {
  public:
    /// `n_threads` >= 1 counts the calling thread, which works too. `places` (choose_places()) has a
    /// processor for each, or nothing. The caller stays free to move: threads that it makes later would
    /// inherit its place, and readers and loaders must not wait for one processor. Its own place is left to
    /// it. Throws Error{Usage} for fewer than one, and as start_thread().
    explicit ThreadPool(int n_threads, const std::vector<int>& places = {});
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const noexcept { return static_cast<int>(threads_.size()) + 1; }

    /// Calls body(task, thread) for task = 0..n_tasks-1, thread in [0, size()), and waits for all. The first
    /// exception of a task is rethrown here after the others have stopped; tasks not yet begun are skipped.
    void run(std::int64_t n_tasks, const std::function<void(std::int64_t task, int thread)>& body);

  private:
    void work(int thread);
    void drain(int thread);
    void end_threads() noexcept;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    const std::function<void(std::int64_t, int)>* body_ = nullptr;
    std::int64_t n_tasks_ = 0;
    std::atomic<std::int64_t> next_{0};
    std::uint64_t generation_ = 0;
    int busy_ = 0;
    bool stop_ = false;
    std::exception_ptr failure_;
    std::vector<std::thread> threads_;
};

}  // namespace assay
