// A wave through all stages: the model's line, and beside it those of its variants. Private to the engine.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/line.h"
#include "engine/observation.h"
#include "engine/pass.h"
#include "engine/rows.h"
#include "weights/loader.h"

namespace assay::engine {

class WaveRun {
  public:
    /// Everything is borrowed; reader: as for Pass::run().
    WaveRun(const plan::PassPlan& plan, backend::Backend& backend, const Placement& placement,
            const Wave& wave, std::span<const Variant> variants);

    /// Of the model and its variants, in the order in which run() takes their units. The sources of the lines
    /// make them.
    std::vector<weights::Job> jobs() const;

    /// progress(steps done, part of the work)
    using Progress = std::function<void(std::int64_t, double)>;
    void run(weights::Loader& loader, Delivery& delivery, const Progress& progress);
    /// After run(), of a wave with variants.
    void deliver_divergences(VariantSink& sink) const;

  private:
    using UnitPtr = std::shared_ptr<const weights::Unit>;
    /// body(line, unit) for the model and each living variant, with the units that they have for a piece.
    template <typename Body>
    void with_units(std::size_t stage, bool has_piece, weights::Loader& loader, const Body& body);
    void start_lines(std::size_t stage);
    /// Where the wave begins in the middle.
    void take_slots();
    void keep(std::size_t stage);
    void run_groups(std::size_t stage, Line& line, const weights::Unit& unit);
    void run_stage(std::size_t stage, weights::Loader& loader);
    void run_experts(std::size_t stage, weights::Loader& loader);
    void run_expert_batch(std::size_t stage, Line& line, const weights::Unit& unit);
    /// Every row of the wave through one expert of the batch, for its sums; what it gives is dropped.
    void run_forced(std::size_t stage, Line& line, backend::ExpertBatch one);
    void route(std::size_t stage, Line& line, const weights::Unit& unit);
    /// progress(part of it that is done) after each panel, so that a stop is not heard only behind the last.
    void run_projection(std::size_t projection, weights::Loader& loader,
                        const std::function<void(double)>& progress);
    void keep_scored(Line& line, std::size_t scoring, const Group& group, backend::View final);
    std::vector<std::int32_t> scored_targets(const PartRows& part) const;
    void deliver_losses(const PartRows& part, std::vector<double> losses);
    const PartRows& part_of(std::size_t stage) const {
        return parts_[static_cast<std::size_t>(plan_.stages()[stage].ahead)];
    }
    /// All rows that a stage has of a value.
    backend::View slot(const Line& line, std::size_t stage, const model::Value& value) const;
    /// What a stage reads of the weights, times the lines that pass through it.
    std::vector<double> work() const;

    const plan::PassPlan& plan_;
    backend::Backend& backend_;
    const Placement& placement_;
    const Wave& wave_;
    const std::int64_t n_rows_;
    std::vector<PartRows> parts_;  ///< the trunk's, then those of the blocks that predict ahead
    std::deque<Line> lines_;       ///< the model's first
    const weights::Unit nothing_;  ///< of a stage without weights
    Rows2d arena_;
    std::unique_ptr<Observation> observation_;         ///< of what the model does by itself
    std::unique_ptr<Observation> forced_observation_;  ///< of forced experts
    Delivery* delivery_ = nullptr;
    backend::Scores scores_;
};

template <typename Body>
void WaveRun::with_units(std::size_t stage, bool has_piece, weights::Loader& loader, const Body& body) {
    {
        const UnitPtr unit = has_piece ? loader.take() : nullptr;
        for (Line& line : lines_)
            if (line.living && !line.has_weights(stage)) body(line, unit ? *unit : nothing_);
    }
    for (Line& line : lines_)
        if (line.has_weights(stage)) body(line, *loader.take());
}

}  // namespace assay::engine
