// Stages of experts: all rows of a wave are routed, then each batch of experts takes its own.
#include "core/error.h"
#include "engine/stage_run.h"
#include "engine/wave_run.h"

namespace assay::engine {

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

}  // namespace assay::engine
