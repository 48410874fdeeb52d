// The forward pass with the loops turned around: the hidden states of a wave of chunks go through one layer
// after another, and each weight is read and prepared once per wave.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "engine/activation_sink.h"
#include "engine/delivery.h"
#include "engine/variants.h"
#include "engine/wave.h"
#include "gguf/host_ring.h"
#include "plan/plan.h"
#include "weights/loader.h"
#include "weights/replacement.h"

namespace assay::engine {

/// Where weights and states are, as memory allows.
struct Placement {
    bool stream = false;        ///< read weights past the page cache: the file does not fit into memory
    bool keep_weights = false;  ///< prepared weights stay from one wave to the next
    /// Folder for a scratch file that holds the states of a wave; empty: they are in memory. Only for
    /// backends that use host memory.
    std::filesystem::path spill_folder;
    /// What the ranks of this machine stream together; null where it is this process alone. Borrowed.
    gguf::HostRing* shared = nullptr;
};

/// Where the time of a pass went, in seconds of the calling thread.
struct PassTimes {
    double waiting_for_weights = 0;
    double reading = 0;           ///< of the reading thread, where weights are streamed
    double waiting_for_sink = 0;  ///< with the operations that lead to what it waits for
    double total = 0;
    std::uint64_t read_bytes = 0;  ///< not a time: by the reading thread
};

/// plan::PassPlan and backend are borrowed; the backend is of the kind that the plan was made for.
class Pass {
  public:
    Pass(const plan::PassPlan& plan, backend::Backend& backend, Placement placement);

    const plan::PassPlan& plan() const noexcept { return plan_; }

    /// Runs one wave. Sums, similarities and losses go to the sink, which is called from another thread and
    /// has heard of everything when this returns. progress(steps done), from the calling thread. Throws
    /// Error{Numeric} for activations that are no numbers (from the sink), Error{BadFile} for token ids
    /// outside the vocabulary.
    void run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress);
    /// The same over a part of a wave, beside the passes over the others: `reader` is one of those that a
    /// pass of the same kind has opened for the wave.
    void run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
             std::unique_ptr<gguf::StreamReader> reader);
    /// Readers for so many passes over the wave; null where weights are not streamed, or kept from an earlier
    /// wave.
    std::vector<std::unique_ptr<gguf::StreamReader>> open_streams(const Wave& wave,
                                                                  std::size_t n_passes) const;

    /// Runs the wave through the model and, at the same time, through variants of it: each weight of the
    /// model is read once and rounded where a variant says so, other files are read beside it stage by stage.
    /// A variant's hidden states begin as a copy of the model's at the first stage that it changes; from
    /// there it needs plan::PassPlan::bytes_per_chunk() as the model does. The plan was made with losses,
    /// without sums and similarity. progress(steps done, part of the work).
    void run_variants(const Wave& wave, std::span<const Variant> variants, VariantSink& sink,
                      const std::function<void(std::int64_t, double)>& progress);

    const PassTimes& times() const noexcept { return times_; }

  private:
    weights::KeptUnits* kept_units(const Wave& wave, bool has_variants);
    std::unique_ptr<gguf::StreamReader> open_variant_stream(const std::vector<weights::Job>& jobs,
                                                            std::span<const Variant> variants) const;
    void run_wave(const Wave& wave, std::span<const Variant> variants, ActivationSink& sink,
                  VariantSink* variant_sink, const std::function<void(std::int64_t, double)>& progress,
                  std::unique_ptr<gguf::StreamReader> reader);

    const plan::PassPlan& plan_;
    backend::Backend& backend_;
    const Placement placement_;
    ParcelPool parcels_;  ///< kept from wave to wave
    weights::KeptUnits kept_;
    PassTimes times_;
};

}  // namespace assay::engine
