// k2-horizon: norms by groups of columns, gated heads, values from a mixture of experts.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

struct Groups {
    std::int64_t n = 1;

    Value normalise(Builder& b, Value x, std::string_view name) const {
        return b.normalise(x, b.norm(name), name == "output_norm" ? "final" : "h", n);
    }
};

/// sum of weight_e * silu(attn_v_exps_e h) over the chosen experts
Value mixed_values(Builder& b, Value h, std::int64_t n_experts, std::int64_t cols) {
    Experts op;
    op.x = h;
    op.router = router_of(b, {.gating = Gating::Sigmoid});
    op.router.n_experts = n_experts;
    op.router.n_used = b.hp().required("attention.value_expert_used_count");
    op.router.n_groups = op.router.n_groups_used = 1;
    Linear gate = b.linear("attn_v_gate", h.cols, n_experts);
    op.router.selection_bias = std::exchange(gate.bias, {});
    op.logits = b.precise_product(h, std::move(gate), "value logits");
    op.up = b.linear("attn_v_exps", h.cols, cols, n_experts);
    op.function = {.activation = Activation::Silu};
    op.adds = false;
    const Value sum = b.emit(std::move(op), cols, "values");
    // As products leave their results.
    return b.chain(sum, {affine(1)}, "v");
}

void add_attention(Builder& b, Value x, const Groups& groups) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t i = b.layer(), dim = hp.head_dim(i);
    const std::int64_t q = hp.n_heads(i) * dim, k = hp.n_kv_heads(i) * dim;
    const std::int64_t cols = hp.n_kv_heads(i) * hp.value_dim(i);
    const Value h = groups.normalise(b, x, "attn_norm");
    std::vector<Linear> linears{b.linear("attn_q", h.cols, q), b.linear("attn_k", h.cols, k)};
    Value v;
    if (b.has("attn_v_exps"))
        v = mixed_values(b, h, hp.required("attention.value_expert_count"), cols);
    else
        linears.push_back(b.linear("attn_v", h.cols, cols));
    const Value qkv = b.product(h, std::move(linears), "q k v");
    if (!v.present()) v = qkv.columns(q + k, cols);
    AttentionBlock block;
    block.rope = rope_of(b, Pairing::Halves);
    if (b.has("attn_q_norm")) block.head_norms = HeadNorms::Each;
    Value out = attended(b, qkv.columns(0, q), qkv.columns(q, k), v, block);
    if (b.has("attn_gate")) out = gated_heads(b, h, out, hp.n_heads(i), Activation::Log2OnePlusExp2);
    b.add_product(out, b.linear("attn_output", out.cols, x.cols), x);
}

}  // namespace

void build_k2_horizon(Builder& b) {
    const Groups groups{b.hp().integer("attention.group_norm_groups").value_or(1)};
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        add_attention(b, x, groups);
        b.next_stage();
        const Value h = groups.normalise(b, x, "ffn_norm");
        if (b.has("ffn_gate_inp"))
            dense_lead(b, h, x, {.router = {.gating = Gating::Sigmoid}, .reads_shared_width = true});
        else
            ffn(b, h, x, {});
    }
    b.begin_head();
    b.finish_normed(groups.normalise(b, x, "output_norm"));
}

}  // namespace assay::model
