// What heads leave: scored rows, losses and divergences from output projections, panel by panel.
#include "engine/wave_run.h"

namespace assay::engine {

void WaveRun::keep_scored(Line& line, std::size_t scoring, const Group& group, backend::View final) {
    if (scored_.count == 0) return;
    line.scored.resize(plan_.scorings().size());
    Rows2d& kept = line.scored[scoring];
    if (!kept.view.present())
        kept =
            Rows2d::allocate(backend_, wave_.n_chunks * scored_.count, final.cols, backend_.operand_dtype());
    const std::int64_t first = scored_.first_row(plan_.scorings()[scoring].ahead);
    for (std::int64_t chunk = 0; chunk < group.rows.n_chunks; ++chunk)
        backend_.observe(
            final.row_range(chunk * group.rows.chunk_tokens + first, scored_.count), {1, scored_.count},
            {kept.view.row_range((group.first_chunk() + chunk) * scored_.count, scored_.count), {}, {}});
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

void WaveRun::run_projection(std::size_t projection, Loader& loader) {
    const model::Output& output = *plan_.projections()[projection];
    const std::size_t index = plan_.stages().size() + projection;
    const std::vector<std::int32_t> targets = scored_targets();
    // Variants are of a model without blocks behind its head.
    const std::size_t n_variants = lines_.size() - 1;
    std::vector<std::pair<std::size_t, backend::ScoreStatePtr>> states;  // by scoring
    for (std::size_t i = 0; i < plan_.scorings().size(); ++i)
        if (plan_.scorings()[i].projection == projection)
            states.emplace_back(i, backend_.begin_scores(targets, n_variants));
    for (std::int64_t first = 0; first < output.linear.weight.n_out;) {
        std::vector<UnitPtr> units;
        std::vector<const Unit*> of_line;
        for (const Line& line : lines_) {
            if (line.replacement == nullptr || line.has_weights(index)) units.push_back(loader.take());
            of_line.push_back(line.has_weights(index) ? units.back().get() : units.front().get());
        }
        const Unit& unit = *units.front();
        for (const auto& [scoring, state] : states) {
            std::vector<backend::ScoredSide> sides;
            for (std::size_t i = 0; i < lines_.size(); ++i) {
                const Line& line = lines_[i].living ? lines_[i] : lines_.front();
                sides.push_back(
                    {line.scored[scoring].view, of_line[i]->steps.front().matrices.front().get()});
            }
            backend_.add_scores(*state, sides,
                                {unit.first, unit.steps.front().bias_data(), output.scale, output.soft_cap});
        }
        first += unit.steps.front().matrices.front()->n_out();
    }
    for (const auto& [scoring, state] : states) {
        scores_ = backend_.finish_scores(*state);
        if (n_variants == 0) deliver_losses(plan_.scorings()[scoring].ahead, std::move(scores_.losses));
    }
}

void WaveRun::deliver_losses(std::int64_t ahead, std::vector<double> losses) {
    const ChunkRange chunks{wave_.first_chunk, wave_.n_chunks};
    delivery_->send({{"losses", ahead, 0}, chunks}, [values = std::move(losses), ahead,
                                                     per_chunk = static_cast<std::size_t>(scored_.count),
                                                     chunks](const Parcel&, ActivationSink& sink) {
        for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk)
            sink.on_losses(
                {chunks.first + chunk, ahead,
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
