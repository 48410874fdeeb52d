// A processor that behaves like a device whose operations are slow: they return at once, and what they leave
// arrives only when all other devices have been given as much to do.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/cpu/cpu_backend.h"

namespace assay::engine {

/// How much devices have been given to do: a norm for each group of chunks and half layer.
class Pace {
  public:
    /// Nobody waits unless `slow`.
    Pace(std::size_t n_devices, bool slow) : slow_(slow), begun_(n_devices, 0) {}

    /// A device has been given a norm. Returns how many it has had.
    std::int64_t begin(std::size_t device) {
        const std::lock_guard lock(mutex_);
        ++begun_[device];
        changed_.notify_all();
        return begun_[device];
    }
    /// Waits until all devices have been given as many: all are at work at once. Gives up, for good, where
    /// that does not happen.
    void wait_for_all(std::int64_t norms) {
        std::unique_lock lock(mutex_);
        const auto all = [&] { return !slow_ || std::ranges::min(begun_) >= norms; };
        if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return !together_ || all(); }))
            together_ = false;
        changed_.notify_all();
    }
    /// Whether no device had to wait for another before it had its work.
    bool together() {
        const std::lock_guard lock(mutex_);
        return together_;
    }

  private:
    const bool slow_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::int64_t> begun_;  ///< norms of each device
    bool together_ = true;
};

class SlowDevice final : public backend::cpu::CpuBackend {
  public:
    SlowDevice(Pace& pace, std::size_t index, ThreadPool& pool, std::int64_t chunk_tokens,
               std::int64_t group_chunks)
        : CpuBackend(detect_isa(), backend::DType::F32, chunk_tokens, pool),
          pace_(pace),
          index_(index),
          group_rows_(group_chunks * chunk_tokens) {}

    std::int64_t preferred_rows() const noexcept override { return group_rows_; }
    backend::LandingPtr make_landing() override { return std::make_unique<SlowLanding>(*this); }
    void norm(backend::View x, const backend::Norm& norm, backend::Rows rows,
              const backend::Produced& out) override {
        norms_ = pace_.begin(index_);
        CpuBackend::norm(x, norm, rows, out);
    }

  private:
    class SlowLanding final : public backend::Landing {
      public:
        explicit SlowLanding(SlowDevice& device)
            : device_(device), inner_(device.CpuBackend::make_landing()) {}
        void mark() override { norms_ = device_.norms_; }
        std::span<const std::byte> fetch(const void* from, std::size_t bytes) override {
            device_.pace_.wait_for_all(norms_);
            return inner_->fetch(from, bytes);
        }
        std::optional<std::int64_t> add_chunks(const backend::Sums& sums, std::int64_t n_chunks,
                                               const backend::Totals& totals) override {
            device_.pace_.wait_for_all(norms_);
            return inner_->add_chunks(sums, n_chunks, totals);
        }

      private:
        SlowDevice& device_;
        backend::LandingPtr inner_;
        std::int64_t norms_ = 0;
    };

    Pace& pace_;
    std::size_t index_;
    std::int64_t group_rows_;
    std::int64_t norms_ = 0;
};

}  // namespace assay::engine
