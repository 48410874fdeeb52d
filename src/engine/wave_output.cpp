// What the head leaves: scored rows, losses and divergences from the output projection, panel by panel.
#include "engine/wave_run.h"

namespace assay::engine {

void WaveRun::allocate_scored(Line& line) {
    line.scored = Rows2d::allocate(backend_, wave_.n_chunks * scored_.count, plan_.program().final.cols,
                                   backend_.operand_dtype());
}

void WaveRun::keep_scored(Line& line, const Group& group, backend::View final) {
    if (scored_.count == 0) return;
    if (!line.scored.view.present()) allocate_scored(line);
    const std::int64_t first_chunk = group.first_row / n_ctx_;
    for (std::int64_t chunk = 0; chunk < group.rows.n_chunks; ++chunk)
        backend_.observe(
            final.row_range(chunk * n_ctx_ + scored_.first, scored_.count), {1, scored_.count},
            {line.scored.view.row_range((first_chunk + chunk) * scored_.count, scored_.count), {}, {}});
}

std::vector<std::int32_t> WaveRun::scored_targets() const {
    std::vector<std::int32_t> targets;
    for (std::int64_t chunk = 0; chunk < wave_.n_chunks; ++chunk) {
        const auto next = wave_.targets.subspan(static_cast<std::size_t>(chunk * n_ctx_ + scored_.first + 1),
                                                static_cast<std::size_t>(scored_.count));
        targets.insert(targets.end(), next.begin(), next.end());
    }
    return targets;
}

void WaveRun::run_output(Loader& loader) {
    const model::Program& program = plan_.program();
    const std::size_t output = plan_.stages().size();
    if (!plan_.options().losses || scored_.count == 0) return;
    const backend::View model = lines_.front().scored.view;
    const backend::ScoreStatePtr state = backend_.begin_scores(scored_targets(), lines_.size() - 1);
    for (std::int64_t first = 0; first < program.n_vocab;) {
        std::vector<UnitPtr> units;
        std::vector<backend::ScoredSide> sides;
        for (const Line& line : lines_) {
            if (line.replacement == nullptr || line.has_weights(output)) units.push_back(loader.take());
            const Unit& unit = line.has_weights(output) ? *units.back() : *units.front();
            sides.push_back(
                {line.living ? line.scored.view : model, unit.steps.front().matrices.front().get()});
        }
        const Unit& unit = *units.front();
        backend_.add_scores(
            *state, sides,
            {unit.first, unit.steps.front().bias_data(), program.output.scale, program.output.soft_cap});
        first += sides.front().panel->n_out();
    }
    scores_ = backend_.finish_scores(*state);
    if (lines_.size() == 1) deliver_losses(std::move(scores_.losses));
}

void WaveRun::deliver_losses(std::vector<double> losses) {
    const ChunkRange chunks{wave_.first_chunk, wave_.n_chunks};
    delivery_->send({{"losses", 0, 0}, chunks}, [values = std::move(losses),
                                                 per_chunk = static_cast<std::size_t>(scored_.count),
                                                 chunks](const Parcel&, ActivationSink& sink) {
        for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk)
            sink.on_losses(
                {chunks.first + chunk,
                 std::span(values).subspan(static_cast<std::size_t>(chunk) * per_chunk, per_chunk)});
    });
}

void WaveRun::deliver_divergences(VariantSink& sink) const {
    const auto per_chunk = static_cast<std::size_t>(scored_.count);
    for (std::size_t v = 0; v < scores_.variants.size(); ++v)
        for (std::int64_t chunk = 0; chunk < wave_.n_chunks; ++chunk)
            sink.on_variant({static_cast<std::int64_t>(v), wave_.first_chunk + chunk,
                             std::span(scores_.variants[v])
                                 .subspan(static_cast<std::size_t>(chunk) * per_chunk, per_chunk)});
}

}  // namespace assay::engine
