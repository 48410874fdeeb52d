// Results on their way from operations to the sink. Operations leave them in a parcel's memory; a thread of
// its own receives them, in the order they were sent, while the operations that follow run.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "engine/activation_sink.h"
#include "plan/plan.h"

namespace assay::engine {

/// Memory of one result.
struct Parcel {
    backend::BufferPtr memory;    ///< where operations leave it
    backend::LandingPtr landing;  ///< how the host gets at it
    std::size_t bytes = 0;        ///< of the result; the memory may be larger
};

/// Parcels that are not in use. Safe to call from several threads.
class ParcelPool {
  public:
    /// The smallest that holds `bytes`, or a new one. None that is much larger: the sums of experts are many
    /// times those of a group, and there is memory for a few of them only.
    Parcel take(backend::Backend& backend, std::size_t bytes);
    void put(Parcel parcel);
    /// Frees them all.
    void clear();
    std::size_t size();

  private:
    std::mutex mutex_;
    std::vector<Parcel> free_;
};

/// Backend, sink and pool are borrowed. All calls come from the thread of the operations; the sink is
/// called from the delivery's thread alone.
class Delivery {
  public:
    /// Receives a parcel, whose memory is used again after the call.
    using Receive = std::function<void(const Parcel&, ActivationSink&)>;

    /// More than `most_bytes` are under way only with plan::kFewParcels or fewer.
    Delivery(backend::Backend& backend, ActivationSink& sink, ParcelPool& pool, std::uint64_t most_bytes);
    /// Drops what was not received yet.
    ~Delivery();
    Delivery(const Delivery&) = delete;
    Delivery& operator=(const Delivery&) = delete;

    /// Memory for a result of so many bytes.
    Parcel parcel(std::size_t bytes) { return pool_.take(backend_, bytes); }
    /// Sends the parcel as the operations so far leave it. Waits while too much is under way. Rethrows what
    /// the receiver threw.
    void send(Parcel parcel, Receive receive);
    /// Something that is in the closure itself, in the same order: the parcel that it receives is empty.
    void send(Receive receive);
    /// Waits until everything was received. Rethrows what the receiver threw.
    void finish();
    /// Time that send() and finish() have waited.
    double waited_seconds() const noexcept { return waited_seconds_; }

  private:
    struct Item {
        Parcel parcel;
        Receive receive;
    };
    void push(Item item);
    void work();
    /// Waits for `ready` or a failure, which it rethrows.
    template <typename Ready> void wait(std::unique_lock<std::mutex>& lock, Ready ready);

    backend::Backend& backend_;
    ActivationSink& sink_;
    ParcelPool& pool_;
    const std::uint64_t most_bytes_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Item> queue_;
    std::size_t bytes_under_way_ = 0;
    std::size_t items_under_way_ = 0;  ///< the one being received counts
    bool stop_ = false;
    std::exception_ptr failure_;
    double waited_seconds_ = 0;
    std::thread thread_;
};

}  // namespace assay::engine
