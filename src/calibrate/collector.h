// Receives what the pass observes and keeps it as sums: matrix, perplexity, similarity.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/complete.h"
#include "engine/activation_sink.h"
#include "imatrix/matrix.h"
#include "perplexity/perplexity.h"
#include "similarity/similarity.h"

namespace assay::calibrate {

/// Everything that whole waves have given.
struct Collected {
    imatrix::Matrix matrix;
    std::vector<perplexity::Sums> chunk_losses;  ///< one per chunk, in order
    /// The same by blocks that predict ahead.
    std::vector<std::vector<perplexity::Sums>> nextn_losses;
    similarity::Similarity similarity;
    std::vector<std::int64_t> skipped;  ///< chunks left out, by their numbers in the text, from 1, rising
};

/// Sums that a wave has changed.
struct Touched {
    /// Weights that always come together and began alike (q, k and v; gate and up): added once for all.
    std::vector<std::string> weights;
    std::int64_t occurrence = 0;
    imatrix::Entry entry;  ///< from the first wave on
};

/// All that a collector has, and needs to go on.
struct CollectorState {
    Collected committed;
    /// Weights with several inputs in a chunk: the sums of each, which `committed` holds together.
    std::map<std::string, std::vector<imatrix::Entry>> occurrences;
    std::map<std::string, imatrix::Entry> stacks_before;  ///< what the start holds of stacks
    // Of the wave under way.
    std::deque<Touched> touched;
    std::vector<std::vector<perplexity::Sums>> wave_losses;  ///< by tokens ahead
    similarity::Similarity touched_similarity;               ///< from the first wave on
};

/// A wave is all or nothing: its sums go to copies, which commit() puts in place and abandon() drops; between
/// these calls what is committed is only read. Totals are added chunk by chunk in chunk order, those of each
/// occurrence of a weight apart, so waves of any size give the same bits.
class Collector final : public engine::ActivationSink {
  public:
    /// Entries of `stacks` are kept with the columns of all heads together.
    explicit Collector(imatrix::Matrix start, Stacks stacks = {});

    /// Throws Error{Shape} when loaded sums have another size.
    std::vector<backend::Totals> on_input(const engine::InputSums& sums) override;
    /// Both throw engine::NotFinite.
    void on_similarity(const engine::SimilaritySums& sums) override;
    void on_losses(const engine::ChunkLosses& losses) override;

    void commit();
    void abandon();

    const Collected& committed() const noexcept { return state_.committed; }
    Collected& committed() noexcept { return state_.committed; }

    /// Between waves, or while nothing more of a wave is on its way here.
    const CollectorState& state() const noexcept { return state_; }
    void restore(CollectorState state);

  private:
    /// What earlier waves have given this occurrence of the weight; zeros where that is nothing.
    imatrix::Entry start_of(const std::string& weight, const engine::InputSums& sums) const;
    /// Those that hold the weights of these sums, each once.
    std::vector<Touched*> touch(const engine::InputSums& sums);
    /// Where the committed sums of an occurrence are.
    imatrix::Entry& committed_of(const std::string& weight, std::int64_t occurrence);

    CollectorState state_;
    const Stacks stacks_;
    std::mutex mutex_;  ///< of what a wave changes
    std::map<std::pair<std::string, std::int64_t>, Touched*> touched_of_;
};

}  // namespace assay::calibrate
