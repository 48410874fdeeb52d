// A run over several ranks. Each has the model, the devices and the tokens, and a collector of its own for
// what it has been dealt; rank 0 leads (leader.h), computes too, and adds up what all have given.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "calibrate/chunks.h"
#include "calibrate/collector.h"
#include "calibrate/job.h"
#include "calibrate/leader.h"
#include "cluster/communicator.h"
#include "engine/team.h"

namespace assay::calibrate {

/// How this rank runs: its share of the node's processors, memory and GPUs. Beside rank 0 it reads and writes
/// no matrix and no state.
Options options_of_rank(const Options& options, const cluster::Communicator& communicator);

/// Everything is borrowed.
struct ClusterParts {
    cluster::Communicator& communicator;
    const Observer& observer;
    engine::Team& team;
    Chunks& chunks;  ///< on rank 0 only the caller leaves any out
    const Stacks& stacks;
    gguf::HostRing* ring = nullptr;  ///< null where this rank streams for itself, or nothing
    std::int64_t longest_wave = 0;
    bool may_leave_out =
        false;  ///< chunks that give no numbers; otherwise they end the run (engine::NotFinite)
    /// What to go on with after so many chunks did not fit a device (Error{DeviceMemory}); throws where
    /// fewer cannot help.
    std::function<std::int64_t(std::int64_t, const Error&)> smaller_wave;
};

/// What rank 0 is asked and told during a round.
struct RoundHooks {
    /// Losses of a chunk, by the model; in chunk order.
    std::function<void(std::int64_t, const perplexity::Sums&)> on_losses;
    /// So many of the round's tokens are done. Returns whether the round is to end early.
    std::function<bool(double)> on_progress;
};

struct RoundResult {
    Collected collected;  ///< its chunks are numbered as if those that are left out had not been there
    std::map<std::string, std::uint64_t> read_bytes;  ///< by streams, by host
    std::int64_t end = 0;  ///< the chunk behind the last one that is done, numbered so too
    bool early = false;    ///< there are chunks behind it that the round was to have
    std::map<std::int64_t, std::string> left_out;  ///< and why; numbered as the round was
};

/// On rank 0.
class ClusterLead {
  public:
    explicit ClusterLead(const ClusterParts& parts);

    /// All ranks run these chunks, or the first of them where the round is to end early. Throws Stopped where
    /// the run is to stop on any rank: what the round has given is lost then.
    RoundResult round(const cluster::Range& chunks, const RoundOrder& order, const RoundHooks& hooks);
    /// The others may leave.
    void finish() { leader_.finish(); }

  private:
    /// Of a chunk of this round, without those before it that are left out.
    std::int64_t number(std::int64_t chunk) const;
    void run_round(const cluster::Range& chunks, const RoundOrder& order, Collector& collector,
                   const RoundHooks& hooks);
    void take_reports(const RoundHooks& hooks);
    void look_around(double in_wave, const RoundHooks& hooks);
    void stop_if_asked();

    const ClusterParts parts_;
    Leader leader_;
    std::int64_t longest_wave_;
    std::uint64_t round_ = 0;
    std::int64_t reported_ = 0;  ///< tokens of this round
    std::map<std::string, std::uint64_t> read_bytes_;
    std::int64_t told_ = 0;  ///< the chunk behind the last whose losses the hook has heard
    std::vector<std::map<std::int64_t, perplexity::Sums>> losses_;  ///< by tokens ahead
    std::map<std::int64_t, RoleLosses> role_losses_;
    std::map<std::int64_t, std::string> left_out_;  ///< in this round, and why
};

/// On the other ranks: does what rank 0 says, to the end of the run.
void follow_cluster(const ClusterParts& parts);

}  // namespace assay::calibrate
