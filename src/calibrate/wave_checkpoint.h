// Keeps the state of a run between two stages of a wave: when it is due, and when the run is to stop.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "calibrate/checkpoint.h"
#include "calibrate/collector.h"
#include "core/error.h"
#include "engine/wave_keeper.h"

namespace assay::calibrate {

/// Thrown to leave a wave that the user no longer wants.
struct Stopped {};

/// Everything is borrowed. The wave begins behind `position.chunks_done` and has `position.wave_chunks`
/// chunks.
class WaveCheckpoint final : public engine::WaveKeeper {
  public:
    WaveCheckpoint(Checkpoint& checkpoint, const Collector& collector, const plan::PassPlan& plan,
                   const Position& position)
        : checkpoint_(checkpoint), collector_(collector), plan_(plan), position_(position) {}

    /// From now on the next boundary between stages keeps the state and throws Stopped.
    void stop() noexcept { stop_ = true; }
    /// Why the last state could not be written, once.
    std::optional<Error> take_failure() {
        const std::lock_guard lock(mutex_);
        return std::exchange(failure_, std::nullopt);
    }

    bool wants(std::size_t) override { return stop_ || checkpoint_.due(); }
    void keep(std::size_t stage, std::span<const engine::WavePart> parts) override {
        Position position = position_;
        position.stage = static_cast<std::int64_t>(stage);
        try {
            checkpoint_.write(position, collector_.state(), plan_, parts);
            if (stop_) checkpoint_.settle();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::Io) throw;
            const std::lock_guard lock(mutex_);
            failure_ = error;
        }
        if (stop_) throw Stopped();
    }

  private:
    Checkpoint& checkpoint_;
    const Collector& collector_;
    const plan::PassPlan& plan_;
    const Position position_;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    std::optional<Error> failure_;
};

}  // namespace assay::calibrate
