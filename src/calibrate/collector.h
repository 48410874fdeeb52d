// Receives what the pass observes and keeps it as sums: matrix, perplexity, similarity.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "calibrate/chunks.h"
#include "calibrate/complete.h"
#include "engine/activation_sink.h"
#include "imatrix/matrix.h"
#include "perplexity/perplexity.h"
#include "similarity/similarity.h"

namespace assay::calibrate {

/// Losses of one chunk by who says the scored token.
using RoleLosses = std::array<perplexity::Sums, documents::kRoles.size()>;

/// Everything that whole waves have given.
struct Collected {
    imatrix::Matrix matrix;
    std::vector<perplexity::Sums> chunk_losses;  ///< one per chunk, in order
    std::vector<RoleLosses> role_losses;         ///< one per chunk; empty where nobody knows
    /// As chunk_losses, by blocks that predict ahead.
    std::vector<std::vector<perplexity::Sums>> nextn_losses;
    similarity::Similarity similarity;
    std::vector<std::int64_t> skipped;  ///< chunks left out, by their numbers in the text, from 1, rising
};

/// What the chunks of a wave have given to weights that are multiplied with the same input.
struct WaveSums {
    std::vector<std::string> weights;
    imatrix::Entry entry;
};

/// All that a collector has, and needs to go on.
struct CollectorState {
    Collected committed;
    // Of the wave under way, nothing that was before it.
    std::deque<WaveSums> touched;
    std::vector<std::map<std::int64_t, perplexity::Sums>> wave_losses;  ///< by tokens ahead, and chunk
    std::map<std::int64_t, RoleLosses> wave_role_losses;                ///< by chunk
    similarity::Similarity wave_similarity;
};

/// A wave is all or nothing: its sums are kept apart until commit() adds them or abandon() drops them;
/// between these calls what is committed is only read. Sums are exact and losses are kept by chunk, so chunks
/// in any order and waves of any size give the same bits.
class Collector final : public engine::ActivationSink {
  public:
    /// Entries of `stacks` are kept with the columns of all heads together.
    explicit Collector(imatrix::Matrix start, Stacks stacks = {});

    /// Before the first wave: those of the run, borrowed, whose roles losses are told apart by.
    void know_roles(const Chunks& chunks) { chunks_ = chunks.roles.empty() ? nullptr : &chunks; }

    /// Throws Error{Shape} when loaded sums have another size.
    backend::Totals on_input(const engine::InputSums& sums) override;
    /// Both throw engine::NotFinite.
    void on_similarity(const engine::SimilaritySums& sums) override;
    void on_losses(const engine::ChunkLosses& losses) override;

    void commit();
    void abandon();
    /// Adds what another collector has committed of chunks that this one has not had.
    void add(const Collected& more);

    const Collected& committed() const noexcept { return state_.committed; }
    Collected& committed() noexcept { return state_.committed; }

    /// Between waves, or while nothing more of a wave is on its way here.
    const CollectorState& state() const noexcept { return state_; }
    void restore(CollectorState state);

  private:
    struct Place {
        WaveSums* sums = nullptr;
        std::unique_ptr<std::mutex> guard = std::make_unique<std::mutex>();
    };
    Place& touch(const engine::InputSums& sums);
    /// In the form that the matrix has it.
    void commit(const std::string& weight, const imatrix::Entry& entry);

    CollectorState state_;
    const Stacks stacks_;
    const Chunks* chunks_ = nullptr;  ///< null: nobody knows who says what
    std::mutex mutex_;                ///< of what a wave changes, but for the sums themselves
    std::map<std::vector<std::string>, Place> places_;
};

}  // namespace assay::calibrate
