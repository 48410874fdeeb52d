// The folder where a run keeps its state, so that whatever ends it costs minutes: when a state is due, which
// of two files takes it, and what a later run finds there.
//   state-0, state-1   the newest state and the one before, by turns
//   complete           of a run that has ended: what it was and wrote; the states are gone then
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/job.h"
#include "calibrate/saved_state.h"
#include "core/background.h"
#include "core/descriptor.h"

namespace assay::calibrate {

/// What a folder held when the run began.
struct Found {
    std::unique_ptr<SavedState> state;  ///< to go on from; null: there is none
    bool complete = false;              ///< the run has ended well, and its output is there
    std::vector<std::string> notes;     ///< what is damaged, or will be replaced
};

/// Whether a state should be written, `since` seconds after the last one, for which the run stood still for
/// `stood_still` seconds: two minutes are over, and 100 times what the last one took; or the interval that
/// was asked for is over, whatever it costs.
bool is_due(double since, double stood_still, std::optional<double> interval_seconds);

/// write() and due() may be called from several threads.
class Checkpoint {
  public:
    /// `options` are borrowed. Makes the folder where it was asked for by name. Throws Error{Io}, also where
    /// another process uses it.
    Checkpoint(const Options& options, std::function<Identity()> identity);

    bool enabled() const noexcept { return !options_.checkpoint_folder.empty(); }

    /// Once, before all else. `chunks_before`: those of the matrices that the run starts from. Throws
    /// Error{Usage} where the folder cannot serve this run.
    Found look(std::int64_t chunks_before);
    /// After look(): those that the run, or the one that it goes on from, began with.
    std::int64_t chunks_before() const noexcept { return chunks_before_; }

    /// Before what the run is known by changes: chunks of its text may be left out.
    void settle_identity() {
        if (enabled()) identity();
    }
    /// Whether a state should be written now: see is_due().
    bool due() const;
    /// Waits until the state last written is on disk. Throws Error{Io} where that fails: the one before
    /// stays.
    void settle();
    /// Between these calls files are written that a run which goes on would not write again: no state is due,
    /// and write() waits.
    void begin_files();
    void end_files();
    /// Nothing where an earlier run of the same kind has come further, whose state is as good. Throws
    /// Error{Io}: the states before are as they were. The disk may take its time behind this call; the next
    /// one waits for it, and throws what has come of that.
    void write(const Position& position, const CollectorState& sums, const plan::PassPlan& plan,
               std::span<const engine::WavePart> parts = {});
    /// The run has ended, and its output is written: states go, and a record is left where there were any, or
    /// where the folder or a continuation was asked for.
    void finish(std::int64_t n_chunks);

    CheckpointCost cost() const;
    /// Whether there is a state of this run.
    bool can_resume() const;

  private:
    using Clock = std::chrono::steady_clock;
    /// A state on its way to the disk.
    struct Flush {
        std::unique_ptr<NewFile> file;
        int which = 0;
        Position position;
    };

    std::filesystem::path state_path(int which) const;
    std::filesystem::path record_path() const { return options_.checkpoint_folder / "complete"; }
    void open_folder();
    const Identity& identity();
    bool is_complete(Found& found);
    void read_states(Found& found);
    void choose(Found& found);
    void remove_states();
    void end_flush();

    const Options& options_;
    const std::function<Identity()> make_identity_;
    std::optional<Identity> identity_;
    std::int64_t chunks_before_ = 0;
    mutable std::mutex mutex_;  ///< of what follows
    std::optional<Descriptor> lock_;
    std::unique_ptr<SavedState> states_[2];  ///< until choose()
    bool files_under_way_ = false;
    std::condition_variable files_written_;
    int newest_ = 1;  ///< the other file is the next to be written
    std::int64_t sequence_ = 0;
    std::optional<Position> farthest_;  ///< of a state that is there
    std::optional<Flush> flush_;
    Clock::time_point last_ = Clock::now();
    double last_seconds_ = 0;  ///< for which the run stood still
    CheckpointCost cost_;
    Background flushing_;  ///< last: it ends before its file goes
};

}  // namespace assay::calibrate
