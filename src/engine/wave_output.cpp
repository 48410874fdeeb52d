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
    Line& model = lines_.front();
    const std::vector<std::int32_t> targets = scored_targets();
    const backend::LossStatePtr losses = lines_.size() == 1 ? backend_.begin_losses(targets) : nullptr;
    for (Line& line : lines_)
        if (line.replacement != nullptr) line.divergence = backend_.begin_divergence(targets);
    for (std::int64_t first = 0; first < program.n_vocab;) {
        const UnitPtr unit = loader.take();
        const backend::Matrix& panel = *unit->steps.front().matrices.front();
        const float* bias = unit->steps.front().bias_data();
        std::vector<UnitPtr> own;
        std::vector<backend::Compared> compared;
        for (Line& line : lines_) {
            if (line.replacement == nullptr) continue;
            if (line.has_weights(output)) own.push_back(loader.take());
            compared.push_back(
                {line.divergence.get(), line.living ? line.scored.view : model.scored.view,
                 line.has_weights(output) ? own.back()->steps.front().matrices.front().get() : &panel});
        }
        if (losses)
            backend_.add_losses(*losses, 0, model.scored.view, panel, bias, unit->first, program.output.scale,
                                program.output.soft_cap);
        else
            backend_.add_divergences(model.scored.view, panel, compared, bias, unit->first,
                                     program.output.scale, program.output.soft_cap);
        first += panel.n_out();
    }
    if (losses) deliver_losses(backend_.finish_losses(*losses));
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

void WaveRun::deliver_divergences(VariantSink& sink) {
    for (std::size_t v = 1; v < lines_.size(); ++v) {
        if (!lines_[v].divergence) continue;
        const std::vector<backend::Divergence> rows = backend_.finish_divergence(*lines_[v].divergence);
        const std::size_t per_chunk = rows.size() / static_cast<std::size_t>(wave_.n_chunks);
        for (std::int64_t chunk = 0; chunk < wave_.n_chunks; ++chunk)
            sink.on_variant(
                {static_cast<std::int64_t>(v) - 1, wave_.first_chunk + chunk,
                 std::span(rows).subspan(static_cast<std::size_t>(chunk) * per_chunk, per_chunk)});
    }
}

}  // namespace assay::engine
