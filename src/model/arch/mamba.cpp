// Mamba, and hybrids of it with attention: mamba, jamba, plamo2.
#include <algorithm>
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

bool is_recurrent(const Builder& b) { return b.hp().per_layer("attention.head_count_kv", b.layer(), 1) == 0; }

/// Mamba with one rate for each head, rows of ssm_in [z | x] for each head, and rows of ssm_x [B | C | dt].
Value plamo_mamba(Builder& b, Value h) {
    const Hyperparameters& hp = b.hp();
    constexpr std::int64_t kLeastRank = 64, kRankDivisor = 16;
    const std::int64_t inner = hp.required("ssm.inner_size"), n_state = hp.required("ssm.state_size"),
                       n_heads = hp.required("ssm.time_step_rank"), kernel = hp.required("ssm.conv_kernel"),
                       rank = std::max(kLeastRank, b.hidden() / kRankDivisor), dim = inner / n_heads;
    const Value zx = b.product(h, {b.linear("ssm_in", h.cols, 2 * inner)}, "z x");
    const Value x = b.emit(Convolve{b.heads(zx, n_heads, dim, dim, "x"),
                                    b.vector("ssm_conv1d.weight", inner * kernel),
                                    {},
                                    kernel,
                                    Activation::Silu},
                           inner, "mixed");
    const Value rates = b.product(x, {b.linear("ssm_x", inner, rank + 2 * n_state)}, "B C dt");
    const Value low = b.normalise(rates.columns(2 * n_state, rank), b.norm("ssm_dt_norm", rank), "dt");
    const Value dt = b.chain(b.product(low, {b.linear("ssm_dt", rank, n_heads)}, "dt"),
                             {apply(Activation::Softplus)}, "dt");
    Scan op;
    op.k = b.normalise(rates.columns(0, n_state), b.norm("ssm_b_norm", n_state), "B");
    op.q = b.normalise(rates.columns(n_state, n_state), b.norm("ssm_c_norm", n_state), "C");
    op.v = b.chain(x, {times(dt)}, "x dt");
    op.decay = b.chain(dt, {times(b.vector("ssm_a", n_heads)), apply(Activation::Exp)}, "decay");
    op.n_heads = n_heads;
    op.n_key_heads = 1;
    op.key_dim = n_state;
    op.value_dim = dim;
    const Value states = b.emit(std::move(op), inner, "states");
    const Value direct = b.chain(x, {times(b.vector("ssm_d", n_heads))}, "direct");
    const Value gate = b.chain(b.heads(zx, n_heads, 0, dim, "z"), {apply(Activation::Silu)}, "gate");
    return b.chain(states, {plus(direct), times(gate)}, "y");
}

}  // namespace

void build_mamba(Builder& b) {
    b.use_norms(NormKind::Rms);
    const bool normalises = b.hp().flag("ssm.dt_b_c_rms", false);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value y = mamba(b, b.normalise(x, b.norm("attn_norm"), "h"), normalises);
        b.add_product(y, b.linear("ssm_out", y.cols, x.cols), x);
    }
    b.finish(x);
}

void build_jamba(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        if (is_recurrent(b)) {
            const Value y = mamba(b, h, false);
            b.add_product(y, b.linear("ssm_out", y.cols, x.cols), x);
        } else {
            attention(b, h, x, {});
        }
        b.next_stage();
        const Value h2 = b.normalise(x, b.norm("ffn_norm"), "h");
        if (b.has("ffn_gate_inp"))
            moe(b, h2, x,
                {.router = router_of(b, {.normalise = false, .reads_gating = false}),
                 .width = b.hp().ffn(i)});
        else
            ffn(b, h2, x, {});
    }
    b.finish(x);
}

void build_plamo2(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        const Norm post = b.norm("post_attention_norm");
        if (is_recurrent(b)) {
            const Value y = plamo_mamba(b, h);
            add_branch(b, y, b.linear("ssm_out", y.cols, x.cols), x, {.post_norm = post});
        } else {
            attention(
                b, h, x,
                {.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each, .post_norm = post});
        }
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {}, {.post_norm = b.norm("post_ffw_norm")});
    }
    b.finish(x);
}

}  // namespace assay::model
