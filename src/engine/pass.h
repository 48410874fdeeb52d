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
#include "engine/loader.h"
#include "engine/observation.h"
#include "engine/variants.h"
#include "engine/weights.h"
#include "gguf/file.h"
#include "model/spec.h"

namespace assay::engine {

struct PassOptions {
    std::int64_t n_ctx = 512;
    /// Name of the output matrix when its input is to be collected; empty: it is not.
    std::string observed_output;
    bool losses = true;
    bool similarity = false;
    bool sums = true;           ///< of the inputs of products
    bool stream = false;        ///< read weights past the page cache: the file does not fit into memory
    bool keep_weights = false;  ///< prepared weights stay from one wave to the next
    /// Folder for a scratch file that holds the states of the wave; empty: they are in memory. Only for
    /// backends that use host memory.
    std::filesystem::path spill_folder;
};

/// Tokens of a wave, whole chunks.
struct Wave {
    std::int64_t first_chunk = 0;
    std::int64_t n_chunks = 0;
    std::span<const std::int32_t> inputs;   ///< what is evaluated
    std::span<const std::int32_t> targets;  ///< what the losses compare with: the text's own tokens
};

struct Rows2d;  ///< private to the engine's files

/// Where the time of a pass went, in seconds of the calling thread.
struct PassTimes {
    double waiting_for_weights = 0;
    double reading = 0;           ///< of the reading thread, where weights are streamed
    double waiting_for_sink = 0;  ///< with the operations that lead to what it waits for
    double total = 0;
};

/// The file, description and backend are borrowed.
class Pass {
  public:
    Pass(const gguf::File& file, const model::ModelSpec& spec, backend::Backend& backend,
         const PassOptions& options);
    ~Pass();

    /// Steps of a wave that `progress` counts: layers, and one for the output projection.
    std::int64_t n_steps() const noexcept;
    /// Activations: per chunk of a wave, and beside the wave.
    std::uint64_t bytes_per_chunk() const noexcept;
    std::uint64_t workspace_bytes() const noexcept;
    /// Of sums on their way to the sink. Part of workspace_bytes().
    std::uint64_t delivery_bytes() const noexcept;
    /// Per chunk, and only beside other passes: sums that wait for their turn, those of a layer at most.
    std::uint64_t waiting_bytes_per_chunk() const noexcept;
    /// Prepared weights at any one time, unless they are kept ...
    std::uint64_t weight_bytes() const noexcept;
    /// ... and all of them.
    std::uint64_t all_weight_bytes() const noexcept;
    /// Stored weights that a stream holds at any one time.
    std::uint64_t stream_bytes() const noexcept;
    /// Input columns of all observed weights, experts one by one: what the sums are as long as.
    std::uint64_t observed_columns() const noexcept;
    /// Read from the file for each wave.
    std::uint64_t read_bytes_per_wave() const noexcept;

    /// Runs one wave. Sums, similarities and losses go to the sink, which is called from another thread and
    /// has heard of everything when this returns. progress(steps done), from the calling thread. Throws
    /// Error{Numeric} for activations that are no numbers (from the sink), Error{BadFile} for token ids
    /// outside the vocabulary.
    void run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress);
    /// The same over a part of a wave, beside the passes over the others: `reader` is one of those that a
    /// pass of the same kind has opened for the wave, `turns` are those of all parts; null: there is no
    /// other.
    void run(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
             std::unique_ptr<StreamReader> reader, Turns* turns);
    /// Readers for so many passes; null where weights are not streamed, or kept from an earlier wave.
    std::vector<std::unique_ptr<StreamReader>> open_streams(std::size_t n_passes) const;

    /// Runs the wave through the model and, at the same time, through variants of it: each weight is read
    /// once and rounded where a variant says so. A variant's hidden states begin as a copy of the model's at
    /// the first layer that it changes; from there it needs bytes_per_chunk() as the model does. The pass was
    /// made with losses, without sums and similarity. progress(steps done, part of the work).
    void run_variants(const Wave& wave, std::span<Replacement* const> variants, VariantSink& sink,
                      const std::function<void(std::int64_t, double)>& progress);
    /// Prepared weights at any one time, with the stored bytes of one replacement, when `n_projections` of
    /// the variants change the output projection.
    std::uint64_t variant_weight_bytes(std::int64_t n_projections,
                                       double bytes_per_rounded_weight) const noexcept;
    /// The next waves read weights past the page cache, once each.
    void stream_weights() noexcept;
    /// Weights that a wave has prepared stay for the next ones.
    void keep_weights() noexcept { options_.keep_weights = true; }
    /// The states of the next waves are kept in a scratch file in this folder. Needs a backend that uses host
    /// memory.
    void spill_states(const std::filesystem::path& folder) { options_.spill_folder = folder; }

    const PassTimes& times() const noexcept { return times_; }

    class State;   ///< of one wave; private to the engine's files
    struct Group;  ///< chunks that go through a layer together

  private:
    struct Sizes;
    class VariantRun;
    void run_wave(const Wave& wave, ActivationSink& sink, const std::function<void(std::int64_t)>& progress,
                  std::unique_ptr<StreamReader> reader, Turns* turns);
    void run_layer(State& state, const model::Layer& layer);
    void run_mixer_groups(State& state, const model::Layer& layer, const MixerWeights& weights);
    /// The feed-forward half but for the experts themselves.
    void run_ffn_groups(State& state, const model::Layer& layer, const FfnWeights& weights);
    void run_mixer(State& state, const model::Layer& layer, const MixerWeights& weights, const Group& group);
    void run_dense(State& state, const model::Layer& layer, const model::DenseFfn& ffn,
                   const FfnWeights& weights, const Group& group);
    void run_router(State& state, const model::Layer& layer, const model::ExpertFfn& ffn,
                    const FfnWeights& weights, const Group& group);
    void run_experts(State& state, const model::ExpertFfn& ffn);
    backend::RoutingPtr route(State& state, const model::ExpertFfn& ffn);
    void run_expert_unit(State& state, const model::ExpertFfn& ffn, const backend::Routing& routing,
                         const ExpertUnit& unit);
    void compare_inputs(State& state, std::int64_t layer, const Group& group);
    void compare_branches(State& state, std::int64_t layer, const Group& group);
    void add_branch(State& state, backend::View operand, const LinearWeights& linear,
                    const NormWeights& post_norm, backend::View hidden);
    void run_output(State& state);
    /// The scored positions of all chunks as the output projection takes them, [chunks * count, hidden].
    Rows2d scored_rows(State& state, const NormWeights& norm);
    std::vector<Job> layer_jobs() const;
    std::vector<Job> jobs() const;
    std::int64_t expert_batch(const model::ExpertFfn& ffn) const;
    std::int64_t vocabulary_panel() const;
    std::uint64_t group_sums_bytes() const noexcept;
    std::uint64_t expert_sums_bytes() const;

    const gguf::File& file_;
    const model::ModelSpec& spec_;
    backend::Backend& backend_;
    PassOptions options_;
    WeightSources sources_;
    std::unique_ptr<Sizes> sizes_;
    std::unique_ptr<ParcelPool> parcels_;  ///< kept from wave to wave
    PassTimes times_;
    KeptUnits kept_;
};

}  // namespace assay::engine
