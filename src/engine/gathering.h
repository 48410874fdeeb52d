// The parts of a wave that several passes share, together between two stages. Private to the engine.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "engine/wave_keeper.h"

namespace assay::engine {

/// The last member that comes to a stage hands the parts of all over, while the others wait.
class Gathering final : public WaveKeeper {
  public:
    /// The outer keeper is borrowed; null: nobody asks.
    Gathering(WaveKeeper* outer, std::size_t n_members) : outer_(outer), n_members_(n_members) {}

    /// Whoever comes first to a stage decides for all.
    bool wants(std::size_t stage) override {
        const std::lock_guard lock(mutex_);
        const auto [decision, is_first] = wanted_.try_emplace(stage, false);
        if (is_first) decision->second = outer_->wants(stage);
        return decision->second;
    }
    void keep(std::size_t stage, std::span<const WavePart> parts) override {
        std::unique_lock lock(mutex_);
        parts_.insert(parts_.end(), parts.begin(), parts.end());
        if (parts_.size() < n_members_) {
            changed_.wait(lock, [&] { return cancelled_ || kept_ >= stage; });
            if (cancelled_) throw Error(ErrorKind::Internal, "", "another member has failed");
            return;
        }
        std::ranges::sort(parts_, {}, [](const WavePart& part) { return part.chunks.first; });
        outer_->keep(stage, parts_);
        parts_.clear();
        kept_ = stage;
        changed_.notify_all();
    }
    void cancel() {
        const std::lock_guard lock(mutex_);
        cancelled_ = true;
        changed_.notify_all();
    }

  private:
    WaveKeeper* outer_;
    const std::size_t n_members_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::size_t, bool> wanted_;
    std::vector<WavePart> parts_;
    std::size_t kept_ = 0;  ///< the last stage
    bool cancelled_ = false;
};

}  // namespace assay::engine
