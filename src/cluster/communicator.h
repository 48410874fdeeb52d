// A rank's place among the others: messages to and from them, and whether they are still there. A thread of
// its own moves the messages, so that the others hear of a rank while it computes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cluster/transport.h"

namespace assay::cluster {

/// Where a rank is.
struct Place {
    std::string host;
    int local_rank = 0;  ///< among the ranks of its host
    int local_size = 1;
    int sharing = 1;  ///< ranks of its host that may run on the same processors, itself included
};

struct Timing {
    std::chrono::milliseconds poll{1};         ///< between two looks at the wire where something came
    std::chrono::milliseconds rest{16};        ///< at most, the longer nothing has come: looks cost time
    std::chrono::milliseconds beat{2000};      ///< between two signs of life
    std::chrono::milliseconds silence{20000};  ///< without any sign, a rank counts as lost
};

/// Safe to call from several threads.
class Communicator {
  public:
    /// `open` is called on the communicator's thread; null is Error{Unsupported}. All ranks construct theirs
    /// at the same time. Longer messages than `most_at_once` bytes go over the wire in parts.
    explicit Communicator(std::function<std::unique_ptr<Transport>()> open, Timing timing = Timing(),
                          std::size_t most_at_once = kMostAtOnce);
    /// What was sent goes out first. Ranks beside 0 stay until rank 0 leaves.
    ~Communicator();
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;

    int rank() const noexcept { return rank_; }
    int size() const noexcept { return size_; }
    const Place& place(int rank) const { return places_.at(static_cast<std::size_t>(rank)); }
    /// "rank 3 on HOST"
    std::string name(int rank) const;

    /// Waits while much is on its way already. Tags from 0 to 99.
    void send(int to, int tag, std::vector<std::byte> bytes = {});
    /// Waits for a message with this tag, from that rank or any.
    Message receive(int tag, std::optional<int> from = {});
    /// The same, but nothing where a message with the tag `unless` is there; that one stays.
    std::optional<Message> receive_unless(int unless, int tag, std::optional<int> from = {});
    /// Whether receive() need not wait.
    bool has(int tag);
    /// From rank 0 to all, who get what it gave.
    void broadcast(std::vector<std::byte>& bytes);
    /// Bytes of messages that this rank has sent.
    std::uint64_t sent_bytes() const;

    /// Called once, from the communicator's thread, with a sentence, when a rank is lost; all ranks end
    /// afterwards.
    void on_lost(std::function<void(const std::string&)> tell);
    /// Ends all ranks at once, this process among them.
    [[noreturn]] void abort(int code);

  private:
    using Clock = std::chrono::steady_clock;
    struct Outgoing {
        int to = 0;
        int tag = 0;
        std::vector<std::byte> bytes;
    };
    void work(const std::function<std::unique_ptr<Transport>()>& open);
    void exchange_places();
    void move(Transport& transport);
    bool take_in(Transport& transport, std::optional<int> only);
    void watch(Transport& transport);
    void rethrow() const;

    /// While a transport takes a message in, this rank gives no sign of life; 16 MiB are 13 s at 10 Mbit/s,
    /// which is less than the silence that others bear with.
    static constexpr std::size_t kMostAtOnce = std::size_t{16} << 20;

    const Timing timing_;
    const std::size_t most_at_once_;
    int rank_ = 0;
    int size_ = 1;
    std::vector<Place> places_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Outgoing> outbox_;
    std::deque<Message> inbox_;
    std::size_t inbox_bytes_ = 0;
    std::size_t unsent_bytes_ = 0;
    std::uint64_t sent_bytes_ = 0;
    std::function<void(const std::string&)> tell_lost_;
    std::optional<int> abort_;
    bool stop_ = false;
    bool open_ = false;
    std::exception_ptr failure_;
    // Of the communicator's thread alone.
    std::string host_;
    std::vector<std::deque<std::vector<std::byte>>>
        parts_;  ///< by sender, of a message that has not all come
    std::vector<Clock::time_point> heard_;
    Clock::time_point beaten_;
    std::thread thread_;
};

}  // namespace assay::cluster
