// The state of a run on disk: sums at full width, and where the run stands. A wave that is under way is there
// with its hidden states.
//
// A sealed GGUF file (sealed_file.h). Keys under `state.`; entries of sums are tensors GROUP.N.squares,
// .plain, .counts (F64) and .squares_low, .plain_low (F32, where something is missing), GROUP being
// `committed` or `touched`; hidden states are tensors slot.N [cols, rows of the wave]; the matrix's own keys
// under `assay.`, `imatrix.` and `wave.`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "calibrate/collector.h"
#include "calibrate/identity.h"
#include "calibrate/sealed_file.h"
#include "engine/wave_keeper.h"
#include "plan/plan.h"

namespace assay::calibrate {

inline constexpr const char* kStateType = "assay.state.exact";  ///< general.type

/// Where a run stands.
struct Position {
    std::int64_t chunks_done = 0;  ///< of whole waves
    std::int64_t wave_chunks = 0;  ///< of the wave behind them that has been begun; 0: none
    std::int64_t stage = 0;        ///< that this wave comes to next; without one see filled()

    bool operator==(const Position&) const = default;
    /// The matrix has got what stands in for sums that no token has given, at the end of a run.
    bool filled() const noexcept { return wave_chunks == 0 && stage == 1; }
    /// Of work done.
    bool is_behind(const Position& other) const noexcept;
};

/// "after 12 chunks and 5 stages of the next 8"
std::string standing_text(const Position& position);

struct StateHead {
    std::int64_t sequence = 0;  ///< rises from state to state of a folder
    Position position;
    std::int64_t chunks_before = 0;  ///< those of the matrices that the run started from
};

/// Borrowed for the call. `sums.touched` and what follows it are looked at only within a wave; `parts` are
/// the chunks of that wave, in order.
struct StateContent {
    StateHead head;
    const Identity& identity;
    const CollectorState& sums;
    const plan::PassPlan& plan;
    std::span<const engine::WavePart> parts = {};
};

/// Written, but for commit(), which needs the content no more. Throws Error{Io}.
std::unique_ptr<NewFile> begin_state(const std::filesystem::path& path, const StateContent& content);

class SavedState {
  public:
    /// Throws Error{Io}, and Error{BadFile} for one that is damaged or does not fit together.
    explicit SavedState(const std::filesystem::path& path);

    const StateHead& head() const noexcept { return head_; }
    const Identity& identity() const noexcept { return identity_; }
    std::uint64_t size_bytes() const noexcept { return file_.size_bytes(); }

    CollectorState sums() const;
    /// How the wave goes on: with any run of its chunks, which may be several passes. Borrows this object.
    /// starts: those of the run's chunks (Chunks), borrowed too. Throws Error{BadFile} where its slots are
    /// not the plan's.
    engine::WaveStart wave_start(const plan::PassPlan& plan, const std::vector<std::int64_t>& starts) const;

  private:
    SealedFile file_;
    StateHead head_;
    Identity identity_;
};

/// A run that has ended: what it was, and what it wrote.
struct Record {
    Identity identity;
    std::uint64_t output = 0;  ///< fingerprint
    std::int64_t n_chunks = 0;
};

void write_record(const std::filesystem::path& path, const Record& record);
/// Throws Error{Io}, Error{BadFile}.
Record read_record(const std::filesystem::path& path);

}  // namespace assay::calibrate
