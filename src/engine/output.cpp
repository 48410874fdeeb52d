// After the last layer: the input of the output projection, and the losses of the scored positions.
#include "engine/pass_state.h"

namespace assay::engine {

namespace {

/// The second half of a chunk is scored, but for its last position, whose next token belongs to another
/// chunk.
struct Scored {
    std::int64_t first = 0;
    std::int64_t count = 0;

    static Scored of(std::int64_t n_ctx) { return {n_ctx / 2, n_ctx - n_ctx / 2 - 1}; }
};

}  // namespace

Rows2d Pass::scored_rows(State& state, const NormWeights& norm) {
    const Scored scored = Scored::of(state.n_ctx);
    Rows2d operand =
        state.of_wave(state.wave.n_chunks * scored.count, spec_.hidden, backend_.operand_dtype());
    for (std::int64_t chunk = 0; chunk < state.wave.n_chunks && scored.count > 0; ++chunk)
        backend_.norm(state.hidden.view.row_range(chunk * state.n_ctx + scored.first, scored.count),
                      norm.norm, {1, scored.count},
                      {operand.view.row_range(chunk * scored.count, scored.count), {}, {}});
    return operand;
}

std::vector<std::int32_t> Pass::State::scored_targets() const {
    const Scored scored = Scored::of(n_ctx);
    std::vector<std::int32_t> targets;
    for (std::int64_t chunk = 0; chunk < wave.n_chunks; ++chunk) {
        const auto next = wave.targets.subspan(static_cast<std::size_t>(chunk * n_ctx + scored.first + 1),
                                               static_cast<std::size_t>(scored.count));
        targets.insert(targets.end(), next.begin(), next.end());
    }
    return targets;
}

void Pass::run_output(State& state) {
    const NormWeights norm = sources_.norm(spec_.output_norm);
    const std::int64_t last = static_cast<std::int64_t>(spec_.layers.size()) - 1;
    const bool observed = options_.observed_output == spec_.output.weight.name;
    if (observed || options_.similarity)
        for (const Group& group : state.groups(sizes_->group_chunks)) {
            backend::Produced out;
            out.plain = group.of(state.layer_input.view);
            if (observed)
                out.sums = state.observation.expect({spec_.output.weight.name}, spec_.hidden, group.chunks,
                                                    state.n_ctx);
            backend_.norm(group.of(state.hidden.view), norm.norm, group.rows, out);
            if (options_.similarity) compare_inputs(state, last, group);
            state.observation.deliver();
        }
    if (!options_.losses) return;

    const Scored scored = Scored::of(state.n_ctx);
    if (scored.count == 0) return;
    const Rows2d operand = scored_rows(state, norm);
    const std::vector<std::int32_t> targets = state.scored_targets();
    const backend::LossStatePtr losses = backend_.begin_losses(targets);
    for (std::int64_t first = 0; first < spec_.n_vocab;) {
        const auto unit = state.take<VocabularyUnit>();
        backend_.add_losses(*losses, 0, operand.view, *unit->panel, unit->bias ? unit->bias->f32() : nullptr,
                            unit->first, spec_.logit_scale, spec_.logit_soft_cap);
        first += unit->panel->n_out();
    }
    const ChunkRange chunks{state.wave.first_chunk, state.wave.n_chunks};
    state.delivery.send(
        {{"losses", 0, 0}, chunks}, [values = backend_.finish_losses(*losses), per_chunk = scored.count,
                                     chunks](const Parcel&, ActivationSink& sink) {
            for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk)
                sink.on_losses({chunks.first + chunk,
                                std::span(values).subspan(static_cast<std::size_t>(chunk * per_chunk),
                                                          static_cast<std::size_t>(per_chunk))});
        });
}

}  // namespace assay::engine
