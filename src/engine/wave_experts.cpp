// Stages of experts: all rows of a wave are routed, then each batch of experts takes its own.
#include "core/error.h"
#include "engine/stage_run.h"
#include "engine/wave_run.h"

namespace assay::engine {

namespace {

/// Those that take the experts' input.
std::vector<std::string> input_weights(const model::Experts& experts) {
    std::vector<std::string> names;
    for (const model::Linear* linear : {&experts.gate, &experts.up})
        if (linear->present()) names.push_back(linear->weight.name);
    return names;
}

backend::ExpertBatch batch_of(const model::Experts& experts, const weights::Unit& unit) {
    const weights::StepWeights& weights = unit.steps.front();
    backend::ExpertBatch batch;
    batch.first = unit.first;
    batch.gate_up = weights.matrices;
    batch.down = weights.down;
    batch.gate_up_bias = weights.bias_data();
    batch.down_bias = weights.down_bias ? weights.down_bias->f32() : nullptr;
    batch.gated = experts.gate.present() || experts.fused;
    batch.function = experts.function;
    batch.weigh_input = experts.weigh_input;
    return batch;
}

/// Places for the sums of the experts' inputs.
void expect_experts(Observation& observation, backend::ExpertBatch& batch, const model::Experts& experts,
                    ChunkRange chunks, const backend::Routing& routing) {
    const auto expect = [&](std::vector<std::string> names, std::int64_t width) {
        return observation.expect_experts(std::move(names), width, chunks, batch.first,
                                          std::ssize(batch.gate_up), experts.router.n_experts, routing);
    };
    batch.input_sums = expect(input_weights(experts), experts.x.cols);
    if (experts.down.present())
        batch.down_sums = expect({experts.down.weight.name}, experts.down.weight.n_in);
}

/// Every row goes to one expert. The weight is the router's for that expert alone: where it is applied
/// before, the input is scaled as it would be.
backend::RouteArgs forced_route(const model::Router& router, std::span<const std::int32_t> chosen) {
    backend::RouteArgs args;
    args.n_used = 1;
    args.gating = router.gating;
    args.normalise = router.normalise;
    args.weight_scale = router.weight_scale;
    args.chosen = chosen;
    return args;
}

/// A router's numbers as the backend takes them; `unit` holds its vectors.
backend::RouteArgs route_args(const model::Router& router, const weights::Unit& unit) {
    backend::RouteArgs args;
    args.n_used = router.n_used;
    args.gating = router.gating;
    args.normalise = router.normalise;
    args.weight_scale = router.weight_scale;
    args.selection_bias = unit.vector(router.selection_bias);
    args.select_logits = router.select_logits;
    args.n_groups = router.n_groups;
    args.n_groups_used = router.n_groups_used;
    args.logits_per_expert = router.logits_per_expert;
    return args;
}

}  // namespace

void WaveRun::route(std::size_t stage, Line& line, const weights::Unit& unit) {
    const model::Experts& experts = *plan_.stages()[stage].stage->experts();
    backend::RouteArgs args = route_args(experts.router, unit);
    std::vector<std::int32_t> chosen;
    if (experts.router.lookup.present()) {
        const gguf::File& file = line.own_plan.file();
        const gguf::Tensor& table = file.get(experts.router.lookup.name);
        const auto* rows = reinterpret_cast<const std::int32_t*>(file.data(table).data());
        for (const std::int32_t token : part_of(stage).of(wave_.inputs, 0, wave_.n_chunks()))
            for (std::int64_t i = 0; i < args.n_used; ++i)
                chosen.push_back(rows[static_cast<std::int64_t>(token) * args.n_used + i]);
        args.chosen = chosen;
    }
    line.routing = backend_.route(slot(line, stage, experts.logits), args, part_of(stage).all);
}

void WaveRun::run_experts(std::size_t stage, weights::Loader& loader) {
    const model::Step& step = plan_.stages()[stage].stage->steps.front();
    const auto& experts = std::get<model::Experts>(step.operation);
    if (!experts.adds)
        for (Line& line : lines_)
            if (line.living) backend_.clear(slot(line, stage, step.out));
    for (Line& line : lines_) line.routing.reset();
    for (std::int64_t next = 0; next < experts.router.n_experts;) {
        std::int64_t count = 0;
        with_units(stage, true, loader, [&](Line& line, const weights::Unit& unit) {
            if (!line.routing) route(stage, line, unit);
            run_expert_batch(stage, line, unit);
            count = static_cast<std::int64_t>(unit.steps.front().matrices.size());
        });
        next += count;
    }
}

void WaveRun::run_expert_batch(std::size_t stage, Line& line, const weights::Unit& unit) {
    const model::Step& step = plan_.stages()[stage].stage->steps.front();
    const auto& experts = std::get<model::Experts>(step.operation);
    backend::ExpertBatch batch = batch_of(experts, unit);
    expect_experts(*observation_, batch, experts, wave_.chunks(), *line.routing);
    backend_.experts(slot(line, stage, experts.x), *line.routing, batch, part_of(stage).all,
                     slot(line, stage, step.out));
    observation_->deliver();
    if (wave_.forced == nullptr) return;
    const auto forced = wave_.forced->find(experts.up.weight.name);
    if (forced == wave_.forced->end()) return;
    for (const std::int64_t expert : forced->second) {
        const std::int64_t place = expert - batch.first;
        if (place < 0 || place >= std::ssize(batch.gate_up)) continue;
        backend::ExpertBatch one = batch;
        one.first = expert;
        one.gate_up = batch.gate_up.subspan(static_cast<std::size_t>(place), 1);
        if (!batch.down.empty()) one.down = batch.down.subspan(static_cast<std::size_t>(place), 1);
        if (batch.gate_up_bias != nullptr) one.gate_up_bias += place * one.gate_up.front()->n_out();
        if (batch.down_bias != nullptr) one.down_bias += place * one.down.front()->n_out();
        run_forced(stage, line, one);
    }
}

void WaveRun::run_forced(std::size_t stage, Line& line, backend::ExpertBatch one) {
    const model::Step& step = plan_.stages()[stage].stage->steps.front();
    const auto& experts = std::get<model::Experts>(step.operation);
    for (const Group& group : part_of(stage).groups) {
        const std::int64_t n_rows = group.rows.count();
        const std::vector<std::int32_t> chosen(static_cast<std::size_t>(n_rows),
                                               static_cast<std::int32_t>(one.first));
        const auto rows_of = [&](const model::Value& value) { return group.of(slot(line, stage, value)); };
        const backend::RoutingPtr routing =
            backend_.route(rows_of(experts.logits), forced_route(experts.router, chosen), group.rows);
        expect_experts(*forced_observation_, one, experts, group.chunks, *routing);
        const backend::View dropped{arena_.memory->data(), backend::DType::F32, n_rows, step.out.cols,
                                    step.out.cols};
        backend_.clear(dropped);
        backend_.experts(rows_of(experts.x), *routing, one, group.rows, dropped);
        forced_observation_->deliver();
    }
}

}  // namespace assay::engine
