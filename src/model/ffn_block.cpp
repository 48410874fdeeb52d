#include "core/error.h"
#include "gguf/limits.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

Gating gating_of(const Builder& b, const RouterDefaults& defaults) {
    const std::int64_t kind = defaults.reads_gating ? b.hp().integer("expert_gating_func").value_or(0) : 0;
    switch (kind) {
        case 0: return defaults.gating;
        case 1: return Gating::Softmax;
        case 2: return Gating::Sigmoid;
        case 3: return Gating::SoftmaxSelected;
        case 4: return Gating::SqrtSoftplus;
        default:
            throw_error(ErrorKind::Unsupported, b.where(),
                        "{} is {}, expected 1 (softmax) to 4 (sqrt of softplus)",
                        b.hp().key("expert_gating_func"), kind);
    }
}

Experts experts_of(Builder& b, Value h, const MoeBlock& block) {
    Experts op;
    op.x = h;
    op.router = block.router;
    op.function = block.function;
    op.weigh_input = block.weigh_input;
    const std::int64_t n = block.router.n_experts;
    if (b.has("ffn_gate_up_exps")) {
        op.fused = true;
        op.up = b.linear("ffn_gate_up_exps", h.cols, 2 * block.width, n);
    } else {
        if (block.gated) op.gate = b.linear("ffn_gate_exps", h.cols, block.width, n);
        op.up = b.linear("ffn_up_exps", h.cols, block.width, n);
    }
    op.down = b.linear("ffn_down_exps", block.width, h.cols, n);
    return op;
}

/// Router and shared expert in the current stage; what is left are the experts themselves.
Value route(Builder& b, Value h, const MoeBlock& block) {
    if (block.logits.present()) return block.logits;
    const Value input = block.router_input.present() ? block.router_input : h;
    return b.precise_product(input, b.linear("ffn_gate_inp", input.cols, block.router.n_experts), "logits");
}

/// What enters the shared expert's down product.
Value shared_inner(Builder& b, Value h, const MoeBlock& block) {
    FfnBlock shared = block.shared_ffn;
    if (shared.suffix.empty()) shared.suffix = "_shexp";
    return ffn_inner(b, h, shared);
}

Value shared_gate(Builder& b, Value h) {
    const Value gate = b.precise_product(h, b.linear("ffn_gate_inp_shexp", h.cols, 1), "shared gate");
    return b.chain(gate, {apply(Activation::Sigmoid)}, "shared gate");
}

/// The shared expert as a value; absent without one.
Value shared_out(Builder& b, Value h, const MoeBlock& block) {
    if (block.shared == SharedExpert::None) return {};
    const Value inner = shared_inner(b, h, block);
    const Value out = b.product(inner, {b.linear("ffn_down_shexp", inner.cols, h.cols)}, "shared");
    if (block.shared == SharedExpert::Plain) return out;
    return b.chain(out, {times(shared_gate(b, h))}, "shared");
}

}  // namespace

void add_branch(Builder& b, Value x, Linear linear, Value residual, const Branch& branch) {
    if (!branch.post_norm.present() && branch.scale == 1)
        return b.add_product(x, std::move(linear), residual);
    const Value out = b.product(x, {std::move(linear)}, "branch");
    b.add(out, branch.post_norm, branch.scale, residual);
}

Value ffn_inner(Builder& b, Value h, const FfnBlock& block) {
    const std::int64_t width = block.width > 0 ? block.width : b.hp().ffn(b.layer());
    const std::string gate = "ffn_gate" + block.suffix, up = "ffn_up" + block.suffix;
    const auto linear = [&](const std::string& name, std::int64_t n_in, std::int64_t n_out) {
        Linear found = b.linear(name, n_in, n_out);
        if (!block.biases) found.bias = {};
        return found;
    };
    b.mark_ffn_input(h);
    Value inner;
    if (!block.gated)
        inner = b.chain(b.product(h, {linear(up, h.cols, width)}, "up"), {apply(block.function.activation)},
                        "inner");
    else if (b.has(gate))
        inner =
            b.emit(GatedProduct{h, {linear(gate, h.cols, width), linear(up, h.cols, width)}, block.function},
                   width, "inner");
    else
        inner = b.emit(GatedProduct{h, {linear(up, h.cols, 2 * width)}, block.function}, width, "inner");
    if (!block.sub_norm.empty()) inner = b.normalise(inner, b.norm(block.sub_norm, width), "inner");
    return inner;
}

void ffn(Builder& b, Value h, Value residual, const FfnBlock& block, const Branch& branch) {
    const Value inner = ffn_inner(b, h, block);
    Linear down = b.linear("ffn_down" + block.suffix, inner.cols, residual.cols);
    if (!block.biases) down.bias = {};
    add_branch(b, inner, std::move(down), residual, branch);
}

Router router_of(Builder& b, const RouterDefaults& defaults) {
    const Hyperparameters& hp = b.hp();
    Router router;
    router.n_experts = hp.integer("expert_count").value_or(0);
    router.n_used = hp.integer("expert_used_count").value_or(0);
    if (router.n_experts < 1 || router.n_experts > gguf::limits::kExperts || router.n_used < 1 ||
        router.n_used > router.n_experts)
        throw_error(ErrorKind::BadFile, b.where(), "{} of {} experts used, expected 1 to {} of at most {}",
                    router.n_used, router.n_experts, router.n_experts, gguf::limits::kExperts);
    router.gating = gating_of(b, defaults);
    router.normalise = defaults.normalise ? *defaults.normalise : hp.flag("expert_weights_norm", false);
    if (const float scale = hp.number("expert_weights_scale", 0); scale != 0) router.weight_scale = scale;
    router.selection_bias = b.optional_vector("exp_probs_b.bias", router.n_experts);
    router.n_groups = std::max<std::int64_t>(1, hp.integer("expert_group_count").value_or(1));
    router.n_groups_used = std::max<std::int64_t>(1, hp.integer("expert_group_used_count").value_or(1));
    if (router.n_experts % router.n_groups != 0 || router.n_groups_used > router.n_groups)
        throw_error(ErrorKind::BadFile, b.where(),
                    "{} of {} groups of {} experts used, expected groups of equal size", router.n_groups_used,
                    router.n_groups, router.n_experts);
    return router;
}

bool is_dense(const Builder& b) {
    return b.layer() < b.hp().integer("leading_dense_block_count").value_or(0);
}

MoeBlock led_experts(Builder& b, const DenseLead& block) {
    const Hyperparameters& hp = b.hp();
    const Router router = router_of(b, block.router);
    const std::int64_t width = expert_width(b, router);
    const std::int64_t shared =
        block.reads_shared_width ? hp.integer("expert_shared_feed_forward_length").value_or(0) : 0;
    const std::int64_t n_shared = std::max<std::int64_t>(1, hp.integer("expert_shared_count").value_or(1));
    return {.router = router,
            .width = width,
            .function = block.function,
            .shared = b.has("ffn_up_shexp") ? SharedExpert::Plain : SharedExpert::None,
            .shared_ffn = {.width = shared > 0 ? shared : width * n_shared, .function = block.shared}};
}

void dense_lead(Builder& b, Value h, Value residual, const DenseLead& block) {
    if (is_dense(b)) return ffn(b, h, residual, {.function = block.dense});
    moe(b, h, residual, led_experts(b, block));
}

Value dense_lead_sum(Builder& b, Value h, const DenseLead& block) {
    if (!is_dense(b)) return moe_sum(b, h, led_experts(b, block));
    const Value inner = ffn_inner(b, h, {.function = block.dense});
    return b.product(inner, {b.linear("ffn_down", inner.cols, h.cols)}, "sum");
}

GateFunction clamped_function(const Builder& b, std::string_view key, GateKind kind) {
    constexpr float kLeast = 1e-6f;
    const float limit = b.hp().number_of_layer(key, b.layer(), 0);
    if (limit <= kLeast) return {};
    return {.kind = kind, .limit = limit};
}

std::int64_t expert_width(const Builder& b, const Router& router) {
    if (const auto width = b.hp().integer("expert_feed_forward_length"); width && *width > 0) return *width;
    return b.hp().ffn(b.layer()) / router.n_used;
}

void moe(Builder& b, Value h, Value residual, const MoeBlock& block, float branch_scale) {
    Experts op = experts_of(b, h, block);
    op.router.weight_scale *= branch_scale;
    op.logits = route(b, h, block);
    b.mark_ffn_input(h);
    if (block.shared == SharedExpert::Gated) {
        b.add(shared_out(b, h, block), {}, branch_scale, residual);
    } else if (block.shared == SharedExpert::Plain) {
        const Value inner = shared_inner(b, h, block);
        add_branch(b, inner, b.linear("ffn_down_shexp", inner.cols, residual.cols), residual,
                   {{}, branch_scale});
    }
    b.emit_into(std::move(op), residual);
}

Value moe_sum(Builder& b, Value h, const MoeBlock& block) {
    Experts op = experts_of(b, h, block);
    op.logits = route(b, h, block);
    b.mark_ffn_input(h);
    const Value shared = shared_out(b, h, block);
    op.adds = shared.present();
    const std::int64_t cols = op.down.weight.n_out;
    if (!op.adds) return b.emit(std::move(op), cols, "experts");
    b.emit_into(std::move(op), shared);
    return shared;
}

}  // namespace assay::model
