#include "engine/wave_run.h"

#include <algorithm>

#include "core/error.h"
#include "engine/stage_run.h"

namespace assay::engine {

namespace {

/// The job made by a variant's sources, from the bytes that the model's own job before it has read.
Job of_variant(Job job, Replacement& replacement) {
    job.reads.clear();
    job.reuses_reads = true;
    job.make = [make = std::move(job.make), &replacement](const TensorBytes& bytes) {
        Unit unit = make(bytes);
        replacement.release();
        return unit;
    };
    return job;
}

Unit empty_unit(const PassPlan& plan) {
    std::size_t most = 1;
    for (const StagePlan& stage : plan.stages()) most = std::max(most, stage.stage->steps.size());
    Unit unit;
    unit.steps.resize(most);
    return unit;
}

}  // namespace

WaveRun::WaveRun(const PassPlan& plan, backend::Backend& backend, const Placement& placement,
                 const Wave& wave, std::span<Replacement* const> variants)
    : plan_(plan),
      backend_(backend),
      placement_(placement),
      wave_(wave),
      n_ctx_(plan.options().n_ctx),
      n_rows_(wave.n_chunks * n_ctx_),
      scored_(Scored::of(n_ctx_)),
      nothing_(empty_unit(plan)) {
    lines_.emplace_back(plan, backend, nullptr, wave.inputs);
    for (Replacement* variant : variants) lines_.emplace_back(plan, backend, variant, wave.inputs);
}

std::vector<Job> WaveRun::jobs() const {
    std::vector<Job> jobs;
    for (const Piece& piece : plan_.pieces())
        for (const Line& line : lines_) {
            if (line.replacement == nullptr)
                jobs.push_back(line.sources.job(piece));
            else if (line.has_weights(piece.stage))
                jobs.push_back(of_variant(line.sources.job(piece), *line.replacement));
        }
    return jobs;
}

std::vector<double> WaveRun::work() const {
    std::vector<double> work(plan_.stages().size() + 1, 0);
    for (const Piece& piece : plan_.pieces()) {
        double bytes = 0;
        for (const TensorRange& range : piece.reads) bytes += static_cast<double>(range.size_bytes);
        if (piece.stage == plan_.stages().size()) {
            bytes /= 2;  // half of the positions are scored
        } else if (const auto* experts = plan_.stages()[piece.stage].stage->experts()) {
            bytes *=
                static_cast<double>(experts->router.n_used) / static_cast<double>(experts->router.n_experts);
        }
        const auto lines =
            std::ranges::count_if(lines_, [&](const Line& line) { return line.start <= piece.stage; });
        work[piece.stage] += bytes * static_cast<double>(lines);
    }
    return work;
}

std::vector<Group> WaveRun::groups() const {
    std::vector<Group> groups;
    for (std::int64_t first = 0; first < wave_.n_chunks; first += plan_.group_chunks()) {
        const std::int64_t count = std::min(plan_.group_chunks(), wave_.n_chunks - first);
        groups.push_back({first * n_ctx_, {count, n_ctx_}, {wave_.first_chunk + first, count}});
    }
    return groups;
}

backend::View WaveRun::slot(const Line& line, const model::Value& value) const {
    const auto index = static_cast<std::size_t>(plan_.slot_of(value.id));
    return line.slots.at(index).view.col_range(value.first, value.cols);
}

/// Lines that begin at this stage take over what the model's has come to.
void WaveRun::start_lines(std::size_t stage) {
    for (Line& line : lines_) {
        if (line.start != stage || line.living) continue;
        allocate_slots(line, plan_, backend_, n_rows_, placement_.spill_folder);
        for (const std::int32_t live : plan_.live_slots(stage)) {
            const auto index = static_cast<std::size_t>(live);
            backend_.copy_heads(lines_.front().slots[index].view, 1, 0, line.slots[index].view);
        }
    }
}

template <typename Body>
void WaveRun::with_units(std::size_t stage, bool has_piece, Loader& loader, const Body& body) {
    {
        const UnitPtr unit = has_piece ? loader.take() : nullptr;
        for (Line& line : lines_)
            if (line.living && !line.has_weights(stage)) body(line, unit ? *unit : nothing_);
    }
    for (Line& line : lines_)
        if (line.has_weights(stage)) body(line, *loader.take());
}

void WaveRun::run_groups(std::size_t stage, Line& line, const Unit& unit) {
    const bool is_head = stage + 1 == plan_.stages().size();
    for (const Group& group : groups()) {
        const std::int64_t next = group.first_row + group.rows.count();
        for (const SpilledRows* rows : line.spilled)
            rows->will_need(next, std::min(group.rows.count(), n_rows_ - next));
        StageRun run(plan_, plan_.stages()[stage], backend_, *delivery_, *observation_, unit, line, group,
                     *arena_.memory);
        run.run();
        if (is_head && plan_.options().losses) keep_scored(line, group, run.plain(plan_.program().final));
        observation_->deliver();
        for (const SpilledRows* rows : line.spilled) rows->write_back(group.first_row, group.rows.count());
    }
}

void WaveRun::run_stage(std::size_t stage, Loader& loader) {
    start_lines(stage);
    if (plan_.stages()[stage].stage->experts() != nullptr) return run_experts(stage, loader);
    const bool has_piece =
        std::ranges::any_of(plan_.pieces(), [&](const Piece& piece) { return piece.stage == stage; });
    with_units(stage, has_piece, loader,
               [&](Line& line, const Unit& unit) { run_groups(stage, line, unit); });
}

void WaveRun::route(const model::Experts& experts, Line& line, const Unit& unit) {
    backend::RouteArgs args = route_args(experts.router, unit);
    std::vector<std::int32_t> chosen;
    if (experts.router.lookup.present()) {
        const gguf::Tensor& table = plan_.file().get(experts.router.lookup.name);
        const auto* rows = reinterpret_cast<const std::int32_t*>(plan_.file().data(table).data());
        for (const std::int32_t token : wave_.inputs)
            for (std::int64_t i = 0; i < args.n_used; ++i)
                chosen.push_back(rows[static_cast<std::int64_t>(token) * args.n_used + i]);
        args.chosen = chosen;
    }
    line.routing = backend_.route(slot(line, experts.logits), args, {wave_.n_chunks, n_ctx_});
}

void WaveRun::run_experts(std::size_t stage, Loader& loader) {
    const model::Step& step = plan_.stages()[stage].stage->steps.front();
    const auto& experts = std::get<model::Experts>(step.operation);
    if (!experts.adds)
        for (Line& line : lines_)
            if (line.living) backend_.clear(slot(line, step.out));
    for (Line& line : lines_) line.routing.reset();
    for (std::int64_t next = 0; next < experts.router.n_experts;) {
        std::int64_t count = 0;
        with_units(stage, true, loader, [&](Line& line, const Unit& unit) {
            if (!line.routing) route(experts, line, unit);
            run_expert_batch(stage, line, unit);
            count = static_cast<std::int64_t>(unit.steps.front().matrices.size());
        });
        next += count;
    }
}

void WaveRun::run_expert_batch(std::size_t stage, Line& line, const Unit& unit) {
    const model::Step& step = plan_.stages()[stage].stage->steps.front();
    const auto& op = std::get<model::Experts>(step.operation);
    const StepWeights& weights = unit.steps.front();
    const backend::Rows rows{wave_.n_chunks, n_ctx_};
    const auto count = static_cast<std::int64_t>(weights.matrices.size());
    const auto expect = [&](std::vector<std::string> names, std::int64_t width) {
        return observation_->expect_experts(std::move(names), width, {wave_.first_chunk, wave_.n_chunks},
                                            unit.first, count, op.router.n_experts, *line.routing);
    };
    backend::ExpertBatch batch;
    batch.first = unit.first;
    batch.gate_up = weights.matrices;
    batch.down = weights.down;
    batch.gate_up_bias = weights.bias_data();
    batch.down_bias = weights.down_bias ? weights.down_bias->f32() : nullptr;
    batch.gated = op.gate.present() || op.fused;
    batch.function = op.function;
    batch.weigh_input = op.weigh_input;
    std::vector<std::string> names;
    for (const model::Linear* linear : {&op.gate, &op.up})
        if (linear->present()) names.push_back(linear->weight.name);
    batch.input_sums = expect(std::move(names), op.x.cols);
    if (op.down.present()) batch.down_sums = expect({op.down.weight.name}, op.down.weight.n_in);
    backend_.experts(slot(line, op.x), *line.routing, batch, rows, slot(line, step.out));
    observation_->deliver();
}

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

void WaveRun::run(Loader& loader, Delivery& delivery, const Progress& progress) {
    delivery_ = &delivery;
    observation_ = std::make_unique<Observation>(delivery, plan_.options().sums);
    std::int64_t widest = 64;
    for (const StagePlan& stage : plan_.stages()) widest = std::max(widest, stage.bytes_per_row);
    arena_ = Rows2d::allocate(backend_, std::min(plan_.group_chunks(), wave_.n_chunks) * n_ctx_,
                              widest / backend::size_of(backend::DType::F32), backend::DType::F32);
    const std::vector<double> work_of = work();
    double total = 0, done = 0;
    for (const double part : work_of) total += part;
    for (std::size_t s = 0; s < plan_.stages().size(); ++s) {
        run_stage(s, loader);
        done += work_of[s];
        const std::int64_t layer = plan_.stages()[s].layer;
        if (layer >= 0 && s + 1 < plan_.stages().size() && plan_.stages()[s + 1].layer != layer)
            progress(layer + 1, total > 0 ? done / total : 0);
    }
    for (Line& line : lines_) line.slots.clear();
    run_output(loader);
}

}  // namespace assay::engine
