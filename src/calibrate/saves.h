// What a run writes, and when: the matrix and its snapshots after waves, the state when it is due, both at
// the end.
#pragma once

#include <filesystem>
#include <vector>

#include "calibrate/checkpoint.h"
#include "calibrate/collector.h"
#include "calibrate/job.h"
#include "calibrate/parts.h"
#include "calibrate/saver.h"
#include "calibrate/schedule.h"
#include "core/error.h"
#include "model/program.h"
#include "plan/plan.h"

namespace assay::calibrate {

/// All calls come from the thread of the run. Where the disk refuses a file the run goes on, since its sums
/// are in memory and a later save may succeed.
class Saves {
  public:
    /// Everything is borrowed.
    Saves(const Options& options, Observer& observer, imatrix::Format format, const plan::PassPlan& plan,
          const Chunks& chunks, Collector& collector, Checkpoint& checkpoint);

    /// Begins to write what is due after whole waves, while the run goes on.
    void after_wave(const WaveEnd& end, bool is_last);
    /// Waits for what has begun, if anything, and tells of it.
    void finish() { finish(false); }
    /// The same, where there is nothing to wait for.
    void tell_when_done();
    void tell_state_failure(const Error& failure);

    /// The matrix has got what stands in for sums that no token has given: states say so from now on.
    void filled() noexcept { filled_ = true; }
    /// The matrix says which chunks of this run it holds.
    void describe(Part part) { part_ = std::move(part); }
    /// Entries that hold no sums.
    void keep_constants(std::vector<std::string> names) {
        if (part_) part_->constants = std::move(names);
    }
    /// Throws Error{Io} where the matrix cannot be written.
    void at_end(std::int64_t chunks_done);
    /// The state and the matrix of the whole waves. Throws as at_end().
    void at_stop(std::int64_t chunks_done);
    /// Keeps the state, so that the sums outlive what has failed, the disk of the matrix too where there is
    /// another.
    void at_failure(std::int64_t chunks_done);

  private:
    void save(std::vector<std::filesystem::path> paths, std::int64_t chunks_done);
    void keep_state(std::int64_t chunks_done);
    void finish(bool last);

    const Options& options_;
    Observer& observer_;
    const imatrix::Format format_;
    const plan::PassPlan& plan_;
    const Chunks& chunks_;
    Collector& collector_;
    Checkpoint& checkpoint_;
    /// The matrix that the run starts from is the one that it writes: it stays until the end, where the state
    /// is kept, so that nothing is added to it twice.
    const bool protects_start_;
    bool filled_ = false;
    std::optional<Part> part_;
    std::int64_t chunks_saved_ = 0;
    Saver saver_;  ///< reads what collector_ has committed
};

}  // namespace assay::calibrate
