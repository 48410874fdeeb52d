// Ranks as threads of one process.
#pragma once

#include <algorithm>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/communicator.h"

namespace assay::cluster {

/// Carries messages between the transports that it makes, and counts their bytes.
class Hub {
  public:
    explicit Hub(int size) : boxes_(static_cast<std::size_t>(size)) {}

    class End final : public Transport {
      public:
        End(Hub& hub, int rank) : hub_(hub), rank_(rank) {}
        int rank() const override { return rank_; }
        int size() const override { return static_cast<int>(hub_.boxes_.size()); }
        std::string host() const override { return rank_ % 2 == 0 ? "even" : "odd"; }
        void send(int to, int tag, std::vector<std::byte> bytes) override {
            const std::lock_guard lock(hub_.mutex_);
            if (hub_.silent_ == rank_) return;
            hub_.bytes_ += bytes.size();
            hub_.longest_ = std::max(hub_.longest_, bytes.size());
            hub_.boxes_.at(static_cast<std::size_t>(to)).push_back({rank_, tag, std::move(bytes)});
        }
        std::size_t unsent_bytes() override { return 0; }
        std::optional<Message> poll(std::optional<int> only) override {
            const std::lock_guard lock(hub_.mutex_);
            auto& box = hub_.boxes_[static_cast<std::size_t>(rank_)];
            for (auto it = box.begin(); it != box.end(); ++it) {
                if (only && it->tag != *only) continue;
                Message message = std::move(*it);
                box.erase(it);
                return message;
            }
            return std::nullopt;
        }
        [[noreturn]] void abort(int code) override { throw Aborted{code}; }

      private:
        Hub& hub_;
        int rank_;
    };
    struct Aborted {
        int code = 0;
    };

    std::unique_ptr<Communicator> join(int rank, Timing timing = Timing()) {
        const auto open = [this, rank] { return std::make_unique<End>(*this, rank); };
        return most_at_once_ ? std::make_unique<Communicator>(open, timing, *most_at_once_)
                             : std::make_unique<Communicator>(open, timing);
    }
    /// Of those that join from now on: longer messages go in parts.
    void part_messages(std::size_t most_at_once) { most_at_once_ = most_at_once; }
    /// The longest message so far.
    std::size_t longest() {
        const std::lock_guard lock(mutex_);
        return longest_;
    }
    /// Of all messages so far.
    std::uint64_t bytes() {
        const std::lock_guard lock(mutex_);
        return bytes_;
    }
    /// This rank's messages get lost from now on.
    void silence(int rank) {
        const std::lock_guard lock(mutex_);
        silent_ = rank;
    }

    /// body(communicator) on a thread for each rank.
    template <typename Body> void run(Body body) {
        std::vector<std::thread> threads;
        for (int rank = 0; rank < static_cast<int>(boxes_.size()); ++rank)
            threads.emplace_back([this, rank, &body] {
                const auto communicator = join(rank);
                body(*communicator);
            });
        for (std::thread& thread : threads) thread.join();
    }

  private:
    std::mutex mutex_;
    std::vector<std::deque<Message>> boxes_;
    std::uint64_t bytes_ = 0;
    int silent_ = -1;
    std::size_t longest_ = 0;
    std::optional<std::size_t> most_at_once_;
};

}  // namespace assay::cluster
