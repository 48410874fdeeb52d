// A thread that prepares the weights of the steps to come while the current one computes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "gguf/weight_stream.h"
#include "weights/sources.h"

namespace assay::weights {

/// Prepared weights that stay for the next wave. Complete after a wave that ran to its end.
using KeptUnits = std::vector<std::shared_ptr<const Unit>>;

struct LoaderOptions {
    /// Units that wait or are being made, beside the one in use; at least 1.
    std::size_t units_ahead = 1;
    /// Where units stay, or null. Borrowed.
    KeptUnits* kept = nullptr;
};

/// Jobs are made in order.
class Loader {
  public:
    /// reader: of a stream of what the jobs read; null: from the mapped files.
    Loader(std::vector<Job> jobs, const LoaderOptions& options, std::unique_ptr<gguf::StreamReader> reader);
    /// Stops after the job in the making.
    ~Loader();
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    /// The next unit, waiting for it. Rethrows what its making threw.
    std::shared_ptr<const Unit> take();
    /// Time that take() has waited.
    double waited_seconds() const noexcept { return waited_seconds_; }
    /// By a stream.
    gguf::ReadFromDisk read_from_disk() const {
        return reader_ ? reader_->read_from_disk() : gguf::ReadFromDisk();
    }

  private:
    void work();
    std::shared_ptr<const Unit> make(std::size_t job);
    std::shared_ptr<const Unit> next_ready();
    void read_ahead(std::size_t job) const;

    const std::vector<Job> jobs_;
    const LoaderOptions options_;
    const bool all_kept_;
    std::size_t n_taken_ = 0;
    std::unique_ptr<gguf::StreamReader> reader_;
    std::shared_ptr<const gguf::JobBytes>
        bytes_;  ///< of the job in the making, and of those that reuse its reads
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<const Unit>> ready_;
    bool stop_ = false;
    std::exception_ptr failure_;
    double waited_seconds_ = 0;
    std::thread thread_;
};

}  // namespace assay::weights
