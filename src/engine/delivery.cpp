#include "engine/delivery.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/thread_pool.h"

namespace assay::engine {

namespace {

/// Parcels of up to so many bytes serve one another.
constexpr std::size_t kSmallBytes = std::size_t{64} << 10;

}  // namespace

Parcel ParcelPool::take(backend::Backend& backend, std::size_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        auto best = free_.end();
        for (auto it = free_.begin(); it != free_.end(); ++it) {
            const std::size_t size = it->memory->size_bytes();
            if (size < bytes || size > 2 * std::max(bytes, kSmallBytes)) continue;
            if (best == free_.end() || size < best->memory->size_bytes()) best = it;
        }
        if (best != free_.end()) {
            Parcel parcel = std::move(*best);
            free_.erase(best);
            parcel.bytes = bytes;
            return parcel;
        }
    }
    return {backend.allocate(bytes), backend.make_landing(), bytes};
}

void ParcelPool::put(Parcel parcel) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(parcel));
}

void ParcelPool::clear() {
    const std::lock_guard lock(mutex_);
    free_.clear();
}

std::size_t ParcelPool::size() {
    const std::lock_guard lock(mutex_);
    return free_.size();
}

Delivery::Delivery(backend::Backend& backend, ActivationSink& sink, ParcelPool& pool,
                   std::uint64_t most_bytes)
    : backend_(backend),
      sink_(sink),
      pool_(pool),
      most_bytes_(most_bytes),
      thread_(start_thread([this] { work(); })) {}

Delivery::~Delivery() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

template <typename Ready> void Delivery::wait(std::unique_lock<std::mutex>& lock, Ready ready) {
    const auto start = std::chrono::steady_clock::now();
    changed_.wait(lock, [&] { return failure_ || ready(); });
    waited_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (failure_) std::rethrow_exception(failure_);
}

void Delivery::send(Parcel parcel, Receive receive) {
    parcel.landing->mark();
    push({std::move(parcel), std::move(receive)});
}

void Delivery::send(Receive receive) { push({{}, std::move(receive)}); }

void Delivery::push(Item item) {
    std::unique_lock lock(mutex_);
    wait(lock, [&] {
        return items_under_way_ < plan::kFewParcels || bytes_under_way_ + item.parcel.bytes <= most_bytes_;
    });
    bytes_under_way_ += item.parcel.bytes;
    ++items_under_way_;
    queue_.push_back(std::move(item));
    changed_.notify_all();
}

void Delivery::finish() {
    std::unique_lock lock(mutex_);
    wait(lock, [&] { return items_under_way_ == 0; });
}

void Delivery::work() {
    try {
        while (true) {
            Item item;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
                if (stop_) return;
                item = std::move(queue_.front());
                queue_.pop_front();
            }
            item.receive(item.parcel, sink_);
            const std::size_t bytes = item.parcel.bytes;
            if (item.parcel.memory) pool_.put(std::move(item.parcel));
            const std::lock_guard lock(mutex_);
            bytes_under_way_ -= bytes;
            --items_under_way_;
            changed_.notify_all();
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

}  // namespace assay::engine
