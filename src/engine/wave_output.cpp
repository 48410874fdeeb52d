// What heads leave: scored rows, losses and divergences from output projections, panel by panel.
#include "engine/wave_run.h"

namespace assay::engine {

void WaveRun::keep_scored(Line& line, std::size_t scoring, const Group& group, backend::View final) {
    const PartRows& part = parts_[static_cast<std::size_t>(plan_.scorings()[scoring].ahead)];
    if (part.scored_starts.back() == 0) return;
    line.scored.resize(plan_.scorings().size());
    Rows2d& kept = line.scored[scoring];
    if (!kept.view.present())
        kept = Rows2d::allocate(backend_, part.scored_starts.back(), final.cols, backend_.operand_dtype());
    for (std::int64_t chunk = 0; chunk < group.rows.n_chunks; ++chunk) {
        const ScoredRows scored = part.scored(group.first_chunk + chunk);
        if (scored.count == 0) continue;
        const std::int64_t place = part.scored_starts[static_cast<std::size_t>(group.first_chunk + chunk)];
        backend_.observe(final.row_range(group.rows.first_row(chunk) + scored.first, scored.count),
                         {1, scored.count}, {kept.view.row_range(place, scored.count), {}, {}});
    }
}

std::vector<std::int32_t> WaveRun::scored_targets(const PartRows& part) const {
    std::vector<std::int32_t> targets;
    for (std::int64_t chunk = 0; chunk < wave_.n_chunks(); ++chunk) {
        const ScoredRows scored = part.scored(chunk);
        if (scored.count == 0) continue;
        const auto next = wave_.targets.subspan(
            static_cast<std::size_t>(wave_.first_token(chunk) + scored.first + part.ahead + 1),
            static_cast<std::size_t>(scored.count));
        targets.insert(targets.end(), next.begin(), next.end());
    }
    return targets;
}

void WaveRun::run_projection(std::size_t projection, weights::Loader& loader,
                             const std::function<void(double)>& progress) {
    const model::Output& output = *plan_.projections()[projection];
    const std::size_t index = plan_.stages().size() + projection;
    // Variants are of a model without blocks behind its head.
    const std::size_t n_variants = lines_.size() - 1;
    std::vector<std::pair<std::size_t, backend::ScoreStatePtr>> states;  // by scoring
    for (std::size_t i = 0; i < plan_.scorings().size(); ++i)
        if (const PartRows& part = parts_[i];
            plan_.scorings()[i].projection == projection && part.scored_starts.back() > 0)
            states.emplace_back(i, backend_.begin_scores(scored_targets(part), n_variants));
    for (std::int64_t first = 0; first < output.linear.weight.n_out;) {
        std::vector<UnitPtr> units;
        std::vector<const weights::Unit*> of_line;
        for (const Line& line : lines_) {
            if (units.empty() || line.has_weights(index)) units.push_back(loader.take());
            of_line.push_back(line.has_weights(index) ? units.back().get() : units.front().get());
        }
        const weights::Unit& unit = *units.front();
        for (const auto& [scoring, state] : states) {
            std::vector<backend::ScoredSide> sides;
            for (std::size_t i = 0; i < lines_.size(); ++i) {
                const Line& line = lines_[i].living ? lines_[i] : lines_.front();
                const weights::StepWeights& made = of_line[i]->steps.front();
                sides.push_back({line.scored[scoring].view, made.matrices.front().get(), made.bias_data()});
            }
            backend_.add_scores(*state, sides, {unit.first, output.scale, output.soft_cap});
        }
        first += unit.steps.front().matrices.front()->n_out();
        progress(static_cast<double>(first) / static_cast<double>(output.linear.weight.n_out));
    }
    // Chunks without any token to score are told of, too.
    scores_.variants.resize(n_variants);
    for (std::size_t i = 0; i < plan_.scorings().size(); ++i)
        if (plan_.scorings()[i].projection == projection && parts_[i].scored_starts.back() == 0 &&
            n_variants == 0)
            deliver_losses(parts_[i], {});
    for (const auto& [scoring, state] : states) {
        scores_ = backend_.finish_scores(*state);
        if (n_variants == 0) deliver_losses(parts_[scoring], std::move(scores_.losses));
    }
}

void WaveRun::deliver_losses(const PartRows& part, std::vector<double> losses) {
    delivery_->send([values = std::move(losses), &part](const Parcel&, ActivationSink& sink) {
        for (std::int64_t chunk = 0; chunk < part.wave->n_chunks(); ++chunk)
            sink.on_losses({part.wave->first_chunk + chunk, part.ahead,
                            part.scored(chunk).first + part.ahead + 1,
                            part.scored_of(chunk, std::span<const double>(values))});
    });
}

void WaveRun::deliver_divergences(VariantSink& sink) const {
    for (std::size_t v = 0; v < scores_.variants.size(); ++v)
        for (std::int64_t chunk = 0; chunk < wave_.n_chunks(); ++chunk)
            sink.on_variant(
                {static_cast<std::int64_t>(v), wave_.first_chunk + chunk,
                 parts_.front().scored_of(chunk, std::span<const backend::Divergence>(scores_.variants[v]))});
}

}  // namespace assay::engine
