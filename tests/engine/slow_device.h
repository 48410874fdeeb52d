// A processor that behaves like a device: operations return at once and are done some time later, so who
// wants what they leave waits for it.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "backend/cpu/cpu_backend.h"

namespace assay::engine {

/// When devices were at work, for all of them together.
class WorkLog {
  public:
    using Time = std::chrono::steady_clock::time_point;

    void note(Time from, Time to) {
        const std::lock_guard lock(mutex_);
        edges_.emplace_back(from, 1);
        edges_.emplace_back(to, -1);
    }
    /// How many devices were at work at once, on average over the time in which any was.
    double mean_at_work() {
        const std::lock_guard lock(mutex_);
        std::ranges::sort(edges_);
        std::chrono::duration<double> any{0}, all{0};
        int at_work = 0;
        for (std::size_t i = 0; i < edges_.size(); ++i) {
            if (at_work > 0) {
                any += edges_[i].first - edges_[i - 1].first;
                all += at_work * (edges_[i].first - edges_[i - 1].first);
            }
            at_work += edges_[i].second;
        }
        return all / any;
    }

  private:
    std::mutex mutex_;
    std::vector<std::pair<Time, int>> edges_;
};

/// Results do not depend on how long an operation takes, nor on how many rows go through a layer together.
class SlowDevice final : public backend::cpu::CpuBackend {
  public:
    SlowDevice(WorkLog& log, ThreadPool& pool, std::int64_t chunk_tokens, std::int64_t group_chunks,
               std::chrono::microseconds per_operation)
        : CpuBackend(detect_isa(), backend::DType::F32, chunk_tokens, pool),
          log_(log),
          group_rows_(group_chunks * chunk_tokens),
          per_operation_(per_operation) {}

    std::int64_t preferred_rows() const noexcept override { return group_rows_; }
    backend::LandingPtr make_landing() override { return std::make_unique<SlowLanding>(*this); }
    void synchronize() override { std::this_thread::sleep_until(done_); }

    void norm(backend::View x, const backend::Norm& norm, backend::Rows rows,
              const backend::Produced& out) override {
        CpuBackend::norm(x, norm, rows, out);
        work();
    }
    void linear(backend::View x, const backend::Matrix& w, const float* bias, bool accumulate,
                backend::View out) override {
        CpuBackend::linear(x, w, bias, accumulate, out);
        work();
    }
    void attention(const backend::AttentionArgs& args, backend::Rows rows,
                   const backend::Produced& out) override {
        CpuBackend::attention(args, rows, out);
        work();
    }
    void gated_linear(backend::View x, const backend::Matrix& gate_up, const float* bias,
                      const GateFunction& function, backend::Rows rows,
                      const backend::Produced& out) override {
        CpuBackend::gated_linear(x, gate_up, bias, function, rows, out);
        work();
    }
    void experts(backend::View x, const backend::Routing& routing, const backend::ExpertBatch& batch,
                 backend::Rows rows, backend::View out) override {
        CpuBackend::experts(x, routing, batch, rows, out);
        work();
    }

  private:
    /// Waits for what was done up to the mark.
    class SlowLanding final : public backend::Landing {
      public:
        explicit SlowLanding(SlowDevice& device)
            : device_(device), inner_(device.CpuBackend::make_landing()) {}
        void mark() override { marked_ = device_.done_; }
        std::span<const std::byte> fetch(const void* from, std::size_t bytes) override {
            std::this_thread::sleep_until(marked_);
            return inner_->fetch(from, bytes);
        }
        std::optional<std::int64_t> add_chunks(const backend::Sums& sums, std::int64_t n_chunks,
                                               const backend::Totals& totals) override {
            std::this_thread::sleep_until(marked_);
            return inner_->add_chunks(sums, n_chunks, totals);
        }

      private:
        SlowDevice& device_;
        backend::LandingPtr inner_;
        WorkLog::Time marked_;
    };

    void work() {
        const WorkLog::Time start = std::max(done_, std::chrono::steady_clock::now());
        done_ = start + per_operation_;
        log_.note(start, done_);
    }

    WorkLog& log_;
    std::int64_t group_rows_;
    std::chrono::microseconds per_operation_;
    WorkLog::Time done_;  ///< when it will be done with all it was given
};

}  // namespace assay::engine
