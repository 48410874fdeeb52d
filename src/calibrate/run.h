// A run while it lasts. Private to job.cpp, which begins and ends it, and run_waves.cpp.
#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "calibrate/checkpoint.h"
#include "calibrate/chunks.h"
#include "calibrate/cluster_run.h"
#include "calibrate/collector.h"
#include "calibrate/devices.h"
#include "calibrate/identity.h"
#include "calibrate/saves.h"
#include "calibrate/schedule.h"
#include "calibrate/share_chunks.h"
#include "calibrate/share_ring.h"
#include "calibrate/text_chunks.h"
#include "calibrate/wave_checkpoint.h"
#include "core/new_file.h"
#include "engine/not_finite.h"
#include "engine/team.h"

namespace assay::calibrate {

/// Options, observer and communicator are borrowed.
class Run {
  public:
    /// `communicator`: null for a run of one process.
    Run(const Options& options, Observer& observer, cluster::Communicator* communicator);

    Result run();

  private:
    using Clock = std::chrono::steady_clock;

    double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
    /// Whether another rank leads.
    bool follows() const { return communicator_ != nullptr && communicator_->rank() > 0; }
    Chunks chunks_of_run() {
        Chunks chunks = follows() ? Chunks() : chunks_of(file_, options_, observer_);
        return communicator_ != nullptr ? share_chunks(std::move(chunks), *communicator_) : chunks;
    }
    plan::PassOptions pass_options() const;
    engine::Placement placement() const {
        return {waves_.streamed, waves_.weights_kept, waves_.spilled_bytes > 0 ? options_.spill_folder : "",
                ring_.get()};
    }
    /// What to go on with after this wave did not fit a device. Throws where fewer chunks cannot help.
    std::int64_t smaller_wave(std::int64_t count, const Error& error);
    /// Takes the chunk out of those to come. False where it may not be left out, or no other is there.
    bool leave_out(std::int64_t chunk, const std::string& finding);
    void check_weights();
    /// Layers, and blocks behind them.
    std::size_t n_blocks() const { return program_.layers.size() + program_.nextn.size(); }
    /// What was asked for, or loaded, that this model does not have.
    void tell_mismatches();
    /// The matrix says how many blocks that predict ahead it is of; what was loaded comes first.
    void set_nextn();
    void announce(std::int64_t n_waves);
    /// Goes on from what an earlier run has kept, if anything. False: that one has ended.
    bool look_for_state();
    /// The end of the wave that comes next.
    WaveEnd next_end(const SaveRules& rules) const;
    std::int64_t fitting_chunks(std::int64_t done) const {
        return calibrate::fitting_chunks(chunks_, done, pass_, wave_chunks_, team_.size());
    }
    void run_waves(const SaveRules& rules);
    ClusterParts cluster_parts();
    /// run_waves() on all ranks; this one leads.
    void lead_waves(const SaveRules& rules);
    /// What the other ranks hear before each round.
    RoundOrder round_order() const;
    /// Of one process's waves, which are as long as those of this one.
    std::vector<WaveEnd> wave_ends(const SaveRules& rules) const;
    /// The last one of wave_ends().
    engine::ChunkRange last_wave(const std::vector<WaveEnd>& ends) const;
    void run_wave(std::int64_t first, std::int64_t count);
    void run_part(std::int64_t first, std::int64_t count, const engine::WaveStart* start,
                  WaveCheckpoint* keeper);
    /// `tokens`: of these chunks, that are done, in parts too.
    void show_progress(std::int64_t first, std::int64_t count, double tokens);
    /// Drops what a wave has given that failed.
    void undo_wave();
    void report_losses(std::int64_t first);
    void report_losses(std::int64_t chunk, const perplexity::Sums& losses);
    void report_coverage();
    /// What stands in for the sums of experts that no token has reached.
    void fill_missing_experts();
    void force_missing_experts(imatrix::Matrix& matrix);
    /// Moves what was collected into the result.
    void finish(Result& result);

    const Options& options_;
    Observer& observer_;
    cluster::Communicator* const communicator_;
    imatrix::Format format_;
    std::unique_ptr<TargetLock> lock_;
    gguf::File file_;
    model::Program program_;
    Devices devices_;
    const Stacks stacks_;
    Collector collector_;
    Chunks chunks_;
    plan::PassPlan pass_;
    const std::unique_ptr<gguf::HostRing> ring_;  ///< null: this process streams for itself
    WavePlan waves_;
    engine::Team team_;
    Checkpoint checkpoint_;
    std::unique_ptr<ClusterLead> lead_;  ///< on rank 0 of several, from the first round on
    std::unique_ptr<SavedState> begun_;  ///< of a wave that an earlier run has begun, until it is done
    std::int64_t chunks_resumed_ = 0;
    std::int64_t chunks_done_ = 0;
    std::int64_t wave_chunks_ = 0;  ///< at most, of the full length
    bool wave_halved_ = false;
    engine::ChunkRange last_;  ///< chunks of the last wave, or round
    bool filled_ = false;      ///< what no token has reached, by the run that this one goes on from
    Saves saves_{options_, observer_, format_, pass_, chunks_, collector_, checkpoint_};
    perplexity::Sums losses_;
    std::map<std::string, std::uint64_t> read_bytes_;  ///< of several ranks' streams, by host
    Clock::time_point start_ = Clock::now();
};

}  // namespace assay::calibrate
