#include <cmath>

#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

struct Sizes {
    std::int64_t n_heads, n_rot, rank, head_dim, value_dim;

    std::int64_t n_nope() const { return head_dim - n_rot; }
};

Sizes sizes_of(const Builder& b, const MlaBlock& block) {
    const Hyperparameters& hp = b.hp();
    Sizes sizes;
    sizes.n_heads = hp.n_heads(b.layer());
    sizes.rank = block.kv_rank > 0 ? block.kv_rank : hp.required("attention.kv_lora_rank");
    sizes.head_dim = block.head_dim > 0
                         ? block.head_dim
                         : hp.integer("attention.key_length_mla").value_or(hp.head_dim(b.layer()));
    sizes.value_dim = block.value_dim > 0
                          ? block.value_dim
                          : hp.integer("attention.value_length_mla").value_or(hp.value_dim(b.layer()));
    sizes.n_rot = block.n_rot > 0 ? block.n_rot : hp.metadata().get_integer(hp.key("rope.dimension_count"));
    if (sizes.n_rot < 0 || sizes.n_rot > sizes.head_dim)
        throw_error(ErrorKind::BadFile, b.where(), "{} rotated components of heads of {}, expected 0 to {}",
                    sizes.n_rot, sizes.head_dim, sizes.head_dim);
    return sizes;
}

/// One latent key for all heads: queries are brought to it (absorbed), values brought back from it.
Value attend_latent(Builder& b, Value q, Value latent, Value k_pe, const Sizes& s, Attend op) {
    const std::int64_t width = s.rank + s.n_rot;
    const Value keys = b.declare(width, "keys");
    b.emit_into(CopyHeads{latent, 1, 0, s.rank}, keys.columns(0, s.rank));
    if (s.n_rot > 0) b.emit_into(CopyHeads{k_pe, 1, 0, s.n_rot}, keys.columns(s.rank, s.n_rot));
    const Value nope = b.heads(q, s.n_heads, 0, s.n_nope(), "q nope");
    const Value queries = b.declare(s.n_heads * width, "queries");
    b.emit_into(Product{nope, {b.linear("attn_k_b", s.n_nope(), s.rank, s.n_heads)}, s.n_heads}, queries);
    if (s.n_rot > 0) b.emit_into(CopyHeads{q, s.n_heads, s.n_nope(), s.n_rot, s.rank}, queries);
    op.q = queries;
    op.k = keys;
    op.v = keys.columns(0, s.rank);
    op.n_kv_heads = 1;
    op.head_dim = width;
    op.value_dim = s.rank;
    const Value out = b.emit(std::move(op), s.n_heads * s.rank, "latent attended");
    return b.emit(Product{out, {b.linear("attn_v_b", s.rank, s.value_dim, s.n_heads)}, s.n_heads},
                  s.n_heads * s.value_dim, "attended");
}

/// Keys and values of every head are made from the latent.
Value attend_expanded(Builder& b, Value q, Value latent, Value k_pe, const Sizes& s, Attend op) {
    const Value kv =
        b.product(latent, {b.linear("attn_kv_b", s.rank, s.n_heads * (s.n_nope() + s.value_dim))}, "kv");
    const Value keys = b.declare(s.n_heads * s.head_dim, "keys");
    if (s.n_nope() > 0) b.emit_into(CopyHeads{kv, s.n_heads, 0, s.n_nope()}, keys);
    if (s.n_rot > 0) b.emit_into(CopyHeads{k_pe, s.n_heads, 0, s.n_rot, s.n_nope(), true}, keys);
    op.q = q;
    op.k = keys;
    op.v = b.heads(kv, s.n_heads, s.n_nope(), s.value_dim, "values");
    op.n_kv_heads = s.n_heads;
    op.head_dim = s.head_dim;
    op.value_dim = s.value_dim;
    return b.emit(std::move(op), s.n_heads * s.value_dim, "attended");
}

}  // namespace

Value mla_attended(Builder& b, Value h, const MlaBlock& block) {
    const Sizes s = sizes_of(b, block);
    const std::int64_t q_cols = s.n_heads * s.head_dim;
    Value q, chosen;
    if (b.has("attn_q_a")) {
        const std::int64_t q_rank = b.hp().required("attention.q_lora_rank");
        const Value qa = b.product(h, {b.linear("attn_q_a", h.cols, q_rank)}, "q latent");
        const Value normed = b.normalise(qa, b.norm("attn_q_a_norm", q_rank), "q latent");
        if (block.choose) chosen = block.choose(normed);
        q = b.product(normed, {b.linear("attn_q_b", q_rank, q_cols)}, "q");
    } else {
        q = b.product(h, {b.linear("attn_q", h.cols, q_cols)}, "q");
    }
    const Value c = b.product(h, {b.linear("attn_kv_a_mqa", h.cols, s.rank + s.n_rot)}, "latent and k pe");
    const Value latent = b.normalise(c.columns(0, s.rank), b.norm("attn_kv_a_norm", s.rank), "latent");
    const Value k_pe = c.columns(s.rank, s.n_rot);
    if (block.key_norm) b.emit_into(TurnHeads{.n_heads = 1, .norm = b.norm("attn_k_norm", s.n_rot)}, k_pe);
    if (block.rope.n_rot() > 0) {
        b.emit_into(TurnHeads{.n_heads = s.n_heads, .rope = block.rope, .first = s.n_nope()}, q);
        b.emit_into(TurnHeads{.n_heads = 1, .rope = block.rope}, k_pe);
    }
    Attend op;
    op.n_heads = s.n_heads;
    op.scale = block.scale != 0 ? block.scale : 1.0f / std::sqrt(static_cast<float>(s.head_dim));
    op.causal = b.hp().flag("attention.causal", true);
    op.window = block.window;
    op.query_scale = block.query_scale;
    op.chosen = chosen;
    op.chosen_tokens = block.chosen_tokens;
    op.sinks = b.optional_vector("attn_sinks.weight", s.n_heads);
    const Value out = b.has("attn_k_b") ? attend_latent(b, q, latent, k_pe, s, std::move(op))
                                        : attend_expanded(b, q, latent, k_pe, s, std::move(op));
    return block.gate == Activation::Identity ? out : gated_heads(b, h, out, s.n_heads, block.gate);
}

void mla(Builder& b, Value h, Value residual, const MlaBlock& block) {
    const Value out = mla_attended(b, h, block);
    b.add_product(out, b.linear("attn_output", out.cols, residual.cols), residual);
}

}  // namespace assay::model
