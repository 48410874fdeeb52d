// A thread that prepares the weights of the steps to come while the current one computes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/weights.h"

namespace assay::engine {

/// Jobs are made in order. At most one unit, or several while they stay below `ahead_bytes`, wait to be
/// taken: with the one in use and the one being made, the whole model is never resident.
class Loader {
  public:
    Loader(const gguf::File& file, std::vector<Job> jobs, std::uint64_t ahead_bytes);
    /// Stops after the job in the making.
    ~Loader();
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    /// The next unit, waiting for it. Rethrows what its making threw.
    Unit take();
    /// Time that take() has waited.
    double waited_seconds() const noexcept { return waited_seconds_; }

  private:
    void work();
    void read_ahead(std::size_t job) const;

    const gguf::File& file_;
    const std::vector<Job> jobs_;
    const std::uint64_t ahead_bytes_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Unit> ready_;
    std::deque<std::uint64_t> ready_sizes_;
    std::uint64_t ready_bytes_ = 0;
    bool stop_ = false;
    std::exception_ptr failure_;
    double waited_seconds_ = 0;
    std::thread thread_;
};

}  // namespace assay::engine
