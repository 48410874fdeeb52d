// One layer over the wave: norm, attention, residual, norm, feed-forward, residual.
#include "engine/pass_state.h"

namespace assay::engine {

using Group = Pass::Group;

namespace {

backend::Activation convert(model::Activation activation) {
    return activation == model::Activation::Silu ? backend::Activation::Silu : backend::Activation::Gelu;
}

backend::Gating convert(model::Gating gating) {
    switch (gating) {
        case model::Gating::Softmax: return backend::Gating::Softmax;
        case model::Gating::Sigmoid: return backend::Gating::Sigmoid;
        case model::Gating::SoftmaxSelected: return backend::Gating::SoftmaxSelected;
    }
    return backend::Gating::Softmax;
}

std::vector<std::string> names(std::initializer_list<const model::Linear*> linears) {
    std::vector<std::string> result;
    for (const model::Linear* linear : linears) result.push_back(linear->weight.name);
    return result;
}

}  // namespace

void Pass::run_mixer_groups(State& state, const model::Layer& layer, const MixerWeights& weights) {
    for (const Group& group : state.groups(sizes_->group_chunks)) {
        state.begin(group);
        run_mixer(state, layer, weights, group);
        state.observation.deliver();
        state.end(group);
    }
}

void Pass::run_ffn_groups(State& state, const model::Layer& layer, const FfnWeights& weights) {
    const auto* dense = std::get_if<model::DenseFfn>(&layer.ffn);
    const auto* experts = std::get_if<model::ExpertFfn>(&layer.ffn);
    for (const Group& group : state.groups(sizes_->group_chunks)) {
        state.begin(group);
        if (dense != nullptr) run_dense(state, layer, *dense, weights, group);
        if (experts != nullptr) run_router(state, layer, *experts, weights, group);
        state.observation.deliver();
        state.end(group);
    }
}

void Pass::run_layer(State& state, const model::Layer& layer) {
    run_mixer_groups(state, layer, *state.take<MixerWeights>());
    run_ffn_groups(state, layer, *state.take<FfnWeights>());
    if (const auto* experts = std::get_if<model::ExpertFfn>(&layer.ffn)) run_experts(state, *experts);
    if (options_.similarity)
        for (const Group& group : state.groups(sizes_->group_chunks)) {
            const backend::View hidden = group.of(state.hidden.view);
            state.compare(Similarity::ResidualFfn, layer.index, group, group.of(state.middle.view), hidden);
            state.compare(Similarity::Residual, layer.index, group, group.of(state.before.view), hidden);
        }
    std::swap(state.layer_input, state.previous_input);
}

/// hidden += post_norm(operand * W), where the norm may be none.
void Pass::add_branch(State& state, backend::View operand, const LinearWeights& linear,
                      const NormWeights& post_norm, backend::View hidden) {
    if (post_norm.norm.kind == backend::NormKind::None)
        return backend_.linear(operand, *linear.matrix, linear.bias_data(), true, hidden);
    const backend::View branch = state.branch.view.row_range(0, operand.rows);
    backend_.linear(operand, *linear.matrix, linear.bias_data(), false, branch);
    backend_.add(branch, post_norm.norm, hidden);
}

void Pass::run_mixer(State& state, const model::Layer& layer, const MixerWeights& weights,
                     const Group& group) {
    const auto& attention = std::get<model::Attention>(layer.mixer);
    const AttentionWeights& w = weights.attention;
    std::vector<std::string> qkv_names;
    for (const model::Linear& part : attention.qkv) qkv_names.push_back(part.weight.name);
    const std::int64_t q_cols = attention.n_heads * attention.head_dim;
    const std::int64_t k_cols = attention.n_kv_heads * attention.head_dim;
    const std::int64_t v_cols = attention.n_kv_heads * attention.value_dim;

    const backend::View hidden = group.of(state.hidden.view);
    const backend::View operand = group.head(state.operand.view);
    backend::View qkv = group.head(state.qkv.view);
    qkv.cols = qkv.stride = q_cols + k_cols + v_cols;
    backend::View out = group.head(state.attention_out.view);
    out.cols = out.stride = attention.n_heads * attention.value_dim;

    backend_.norm(hidden, weights.norm.norm, group.rows,
                  {operand, group.of(state.layer_input.view),
                   state.observation.expect(qkv_names, spec_.hidden, group.chunks, state.n_ctx)});
    if (options_.similarity) compare_inputs(state, layer.index - 1, group);
    backend_.linear(operand, *w.qkv.matrix, w.qkv.bias_data(), false, qkv);
    backend::AttentionArgs args;
    args.q = qkv.col_range(0, q_cols);
    args.k = qkv.col_range(q_cols, k_cols);
    args.v = qkv.col_range(q_cols + k_cols, v_cols);
    args.n_heads = attention.n_heads;
    args.n_kv_heads = attention.n_kv_heads;
    args.head_dim = attention.head_dim;
    args.value_dim = attention.value_dim;
    args.scale = attention.scale;
    args.soft_cap = attention.soft_cap;
    args.window = attention.window;
    args.query_scale = w.query_scale ? w.query_scale->f32() : nullptr;
    backend_.rotate_heads(args.q, attention.n_heads, w.q_norm.norm, w.rope, group.rows);
    backend_.rotate_heads(args.k, attention.n_kv_heads, w.k_norm.norm, w.rope, group.rows);
    backend_.attention(
        args, group.rows,
        {out, {}, state.observation.expect(names({&attention.output}), out.cols, group.chunks, state.n_ctx)});
    if (options_.similarity) backend_.observe(hidden, group.rows, {{}, group.of(state.before.view), {}});
    add_branch(state, out, w.output, weights.post_norm, hidden);
    if (options_.similarity) {
        state.compare(Similarity::ResidualAttention, layer.index, group, group.of(state.before.view), hidden);
        backend_.observe(hidden, group.rows, {{}, group.of(state.middle.view), {}});
    }
}

/// The normed input of layer + 1 is known: what layer `layer` and its feed-forward part did to theirs.
void Pass::compare_inputs(State& state, std::int64_t layer, const Group& group) {
    if (layer < 0) return;
    const backend::View next = group.of(state.layer_input.view);
    state.compare(Similarity::LayerInput, layer, group, group.of(state.previous_input.view), next);
    state.compare(Similarity::Ffn, layer, group, group.of(state.ffn_input.view), next);
}

void Pass::run_dense(State& state, const model::Layer& layer, const model::DenseFfn& ffn,
                     const FfnWeights& weights, const Group& group) {
    const DenseWeights& w = weights.dense;
    const std::int64_t width = ffn.down.weight.n_in;
    const backend::View hidden = group.of(state.hidden.view);
    const backend::View operand = group.head(state.operand.view);
    backend::View inner = group.head(state.ffn_operand.view);
    inner.cols = inner.stride = width;
    backend_.norm(
        hidden, weights.norm.norm, group.rows,
        {operand, group.of(state.ffn_input.view),
         state.observation.expect(names({&ffn.gate, &ffn.up}), spec_.hidden, group.chunks, state.n_ctx)});
    if (options_.similarity) compare_branches(state, layer.index, group);
    backend_.gated_linear(
        operand, *w.gate_up.matrix, w.gate_up.bias_data(), convert(ffn.activation), group.rows,
        {inner, {}, state.observation.expect(names({&ffn.down}), width, group.chunks, state.n_ctx)});
    add_branch(state, inner, w.down, weights.post_norm, hidden);
}

/// The inputs of both branches of a layer are known.
void Pass::compare_branches(State& state, std::int64_t layer, const Group& group) {
    state.compare(Similarity::Attention, layer, group, group.of(state.ffn_input.view),
                  group.of(state.layer_input.view));
}

void Pass::run_router(State& state, const model::Layer& layer, const model::ExpertFfn& ffn,
                      const FfnWeights& weights, const Group& group) {
    // In f32 throughout: a rounded logit would send tokens to other experts.
    const backend::View input = group.of(state.ffn_input.view);
    backend_.norm(
        group.of(state.hidden.view), weights.norm.norm, group.rows,
        {{}, input, state.observation.expect(names({&ffn.router}), spec_.hidden, group.chunks, state.n_ctx)});
    if (options_.similarity) compare_branches(state, layer.index, group);
    backend_.linear(input, *weights.router.matrix, weights.router.bias_data(), false,
                    group.of(state.logits(ffn)));
}

backend::RoutingPtr Pass::route(State& state, const model::ExpertFfn& ffn) {
    return backend_.route(state.logits(ffn),
                          {ffn.n_used, convert(ffn.gating), ffn.normalise, ffn.weight_scale},
                          {state.wave.n_chunks, state.n_ctx});
}

void Pass::run_experts(State& state, const model::ExpertFfn& ffn) {
    const backend::RoutingPtr routing = route(state, ffn);
    for (std::int64_t next = 0; next < ffn.n_experts;) {
        const auto unit = state.take<ExpertUnit>();
        run_expert_unit(state, ffn, *routing, *unit);
        next += static_cast<std::int64_t>(unit->down.size());
    }
}

void Pass::run_expert_unit(State& state, const model::ExpertFfn& ffn, const backend::Routing& routing,
                           const ExpertUnit& unit) {
    const backend::Rows rows{state.wave.n_chunks, state.n_ctx};
    const ChunkRange chunks{state.wave.first_chunk, state.wave.n_chunks};
    const auto count = static_cast<std::int64_t>(unit.down.size());
    backend::ExpertBatch batch{unit.first, unit.gate_up, unit.down, convert(ffn.activation), {}, {}};
    batch.input_sums = state.observation.expect_experts(names({&ffn.gate, &ffn.up}), spec_.hidden, chunks,
                                                        unit.first, count, ffn.n_experts, routing);
    batch.down_sums = state.observation.expect_experts(names({&ffn.down}), ffn.down.weight.n_in, chunks,
                                                       unit.first, count, ffn.n_experts, routing);
    backend_.experts(state.ffn_input.view, routing, batch, rows, state.hidden.view);
    state.observation.deliver();
}

}  // namespace assay::engine
