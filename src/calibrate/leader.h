// Rank 0 of a cluster deals out chunks and hears what became of them; the other ranks ask for more. Chunks
// are dealt in rounds, at whose ends the sums of all ranks come together: then files and states are written.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "calibrate/collector.h"
#include "cluster/communicator.h"
#include "cluster/dealer.h"
#include "core/error.h"
#include "engine/wave.h"

namespace assay::calibrate {

/// A rank has done these chunks.
struct WaveReport {
    cluster::Range chunks;
    double seconds = 0;
    std::uint64_t read_bytes = 0;  ///< from disk, where weights are streamed
    int rank = 0;
    /// By tokens ahead, and chunk; empty where no perplexity is asked for.
    std::vector<std::vector<perplexity::Sums>> losses;
    std::vector<RoleLosses> role_losses;  ///< by chunk; empty where nobody knows who says what
    std::string left_out;                 ///< why nothing has come of them, one chunk; empty: they are done
};

/// What all ranks hear before a round.
struct RoundOrder {
    /// Chunks that are left out, by their numbers in what was shared, rising; those of earlier rounds
    /// included.
    std::vector<std::int64_t> left_out;
    engine::ExpertLists forced;  ///< where any are: they take every row, and only what they see is summed
};

/// On rank 0. All calls come from the thread of the run, which computes as well; a thread of the leader's own
/// serves the others meanwhile.
class Leader {
  public:
    /// `longest`: tokens of the longest wave that rank 0 can take. Waits until the others are ready.
    Leader(cluster::Communicator& communicator, std::int64_t longest);
    ~Leader();
    Leader(const Leader&) = delete;
    Leader& operator=(const Leader&) = delete;

    /// Begins to deal these chunks of the run's, which are numbered without those that `order` leaves out.
    /// `starts`, as Chunks has them, is borrowed until the next round.
    void begin_round(const cluster::Range& chunks, std::span<const std::int64_t> starts,
                     const RoundOrder& order);
    /// What rank 0 does next; nothing when all is dealt. Throws as check().
    std::optional<cluster::Range> next();
    /// Rank 0 has done its own.
    void done(WaveReport report);
    /// What all ranks have reported since the last call.
    std::vector<WaveReport> take_reports();
    /// Throws what another rank has failed with, under its name.
    void check();
    /// Whether another rank was asked to stop.
    bool stop_requested();
    /// Nothing more is dealt in this round, which ends behind what was.
    void close_round();
    /// The chunk behind the last that was dealt.
    std::int64_t dealt_end();
    /// The others drop what they are at; finish() must follow, once nothing of this rank holds them up.
    void stop();
    /// Waits a little, or until something has come; true when all others have done what they were dealt and
    /// wait for gather_sums().
    bool wait_for_others();
    /// The others leave, or are told that they may when they have dropped what they were at.
    void finish();

  private:
    void serve();
    void take(int rank, WaveReport report);
    void answer(int rank);
    std::optional<cluster::Range> deal_to(std::size_t rank);

    cluster::Communicator& communicator_;
    std::mutex mutex_;
    std::condition_variable changed_;
    cluster::Dealer dealer_;
    RoundOrder order_;
    std::int64_t round_begin_ = 0;
    std::int64_t dealt_end_ = 0;
    bool open_ = false;
    bool ended_ = false;
    int left_ = 0;  ///< ranks that have been told so
    bool stop_requested_ = false;
    std::vector<int> waiting_;   ///< have asked between two rounds
    std::vector<bool> ordered_;  ///< have heard the order of this round
    std::vector<bool> through_;  ///< have been told that this round is over
    std::vector<WaveReport> reports_;
    std::optional<Error> failure_;
    std::thread thread_;
};

/// What the leader tells a rank that asks.
struct Deal {
    enum Kind : std::int64_t {
        Begin,   ///< a round, which the order is for; ask again
        Work,    ///< these chunks
        Gather,  ///< take part in gather_sums() and ask again
        End,
    };
    Kind kind = End;
    cluster::Range chunks;
    RoundOrder order;
};

/// The other ranks' side.
class Follower {
  public:
    /// Tells the leader how many tokens a wave of this rank can have.
    Follower(cluster::Communicator& communicator, std::int64_t longest);

    Deal next();
    void done(const WaveReport& report);
    /// Whether the wave under way is to be dropped.
    bool stopped() const;
    void request_stop();
    /// What ended a rank, ready or not.
    static void fail(cluster::Communicator& communicator, const Error& error);

  private:
    cluster::Communicator& communicator_;
};

}  // namespace assay::calibrate
