// The devices of a run, and how long its waves are on them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "calibrate/job.h"
#include "calibrate/memory.h"
#include "core/thread_pool.h"
#include "plan/plan.h"

namespace assay::calibrate {

/// The threads that `options` asks for, dealt out to these devices in equal parts. Those that are to compute
/// have places of their own (choose_places()); those that serve a GPU wait for it most of the time.
std::vector<std::unique_ptr<ThreadPool>> computing_threads(const Options& options,
                                                           const std::vector<std::string>& devices);

/// Each opened device has its share of the threads, so that processors which stand for several devices do not
/// wait for each other.
class Devices {
  public:
    /// Throws what backend::open() throws.
    explicit Devices(const Options& options);

    std::vector<backend::Backend*> backends() const;
    std::size_t size() const noexcept { return backends_.size(); }

  private:
    std::vector<std::unique_ptr<ThreadPool>> pools_;
    std::vector<std::unique_ptr<backend::Backend>> backends_;
};

/// Waves of the whole team. Host memory is shared by its members; a device's own is each one's, so the one
/// with the least room decides. What is streamed is shared with so many ranks of this machine, this one
/// included, each of which counts its part of the memory. Throws as plan_waves().
WavePlan plan_team(const Options& options, const Devices& devices, const plan::PassPlan& pass,
                   std::int64_t n_chunks, std::size_t n_sharing);

/// Chunks from `first` on that take no more memory than wave_chunks of the full length do on so many devices;
/// at least one, where there is one.
std::int64_t fitting_chunks(const Chunks& chunks, std::int64_t first, const plan::PassPlan& pass,
                            std::int64_t wave_chunks, std::size_t n_devices);

}  // namespace assay::calibrate
