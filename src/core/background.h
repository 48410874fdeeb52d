// One piece of work that goes on beside the caller.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <thread>

namespace assay {

/// All calls come from one thread at a time.
class Background {
  public:
    Background() = default;
    /// Waits; what the work has thrown is lost.
    ~Background();
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    /// Calls work() on a thread of its own, or here and now where the system has none left. Nothing else is
    /// under way.
    void start(std::function<void()> work);
    /// Between start() and wait().
    bool under_way() const noexcept { return under_way_; }
    /// Whether wait() need not wait.
    bool done() const noexcept { return under_way_ && done_; }
    /// Until the work has ended. Throws what it has thrown.
    void wait();

  private:
    bool under_way_ = false;
    std::atomic<bool> done_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace assay
