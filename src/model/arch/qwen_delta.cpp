// qwen3next, qwen35 and qwen35moe: three layers of gated delta net to one of gated attention.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

struct Variant {
    bool interleaved = false;  ///< value heads are stored so that head h reads key head h % n_key_heads
    bool experts = false;
    bool split_rates = false;  ///< ssm_alpha and ssm_beta instead of ssm_ba
};

bool is_recurrent(const Builder& b) {
    const std::int64_t interval = b.hp().integer("full_attention_interval").value_or(4);
    const std::int64_t otherwise = interval > 0 && (b.layer() + 1) % interval == 0 ? 0 : 1;
    return b.hp().per_layer("attention.recurrent_layers", b.layer(), otherwise) != 0;
}

/// Rows of attn_q are [query | gate] for each head.
void gated_attention(Builder& b, Value h, Value x) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t n = hp.n_heads(b.layer()), n_kv = hp.n_kv_heads(b.layer()),
                       dim = hp.head_dim(b.layer()), value_dim = hp.value_dim(b.layer());
    const Value all =
        b.product(h,
                  {b.linear("attn_q", h.cols, 2 * n * dim), b.linear("attn_k", h.cols, n_kv * dim),
                   b.linear("attn_v", h.cols, n_kv * value_dim)},
                  "q gate k v");
    const Value q_gate = all.columns(0, 2 * n * dim);
    AttentionBlock block{.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each};
    const Value q = b.heads(q_gate, n, 0, dim, "q");
    const Value gate = b.heads(q_gate, n, dim, dim, "gate");
    const Value out = attended(b, q, all.columns(2 * n * dim, n_kv * dim),
                               all.columns(2 * n * dim + n_kv * dim, n_kv * value_dim), block);
    const Value gated = b.chain(out, {times(b.chain(gate, {apply(Activation::Sigmoid)}, "gate"))}, "gated");
    b.add_product(gated, b.linear("attn_output", gated.cols, x.cols), x);
}

/// One product with rows [q | k | v | z] for each key head, as the first files of qwen3next have it.
void split_fused(Builder& b, Value h, const DeltaSizes& s, DeltaInputs& in) {
    const std::int64_t r = s.n_heads / s.n_key_heads, keys = s.n_key_heads * s.key_dim;
    const std::int64_t values = s.n_heads * s.value_dim;
    const Value all = b.product(h, {b.linear("ssm_in", h.cols, 2 * keys + 2 * values)}, "q k v z");
    in.qkv = b.declare(2 * keys + values, "q k v");
    b.emit_into(CopyHeads{all, s.n_key_heads, 0, s.key_dim}, in.qkv.columns(0, keys));
    b.emit_into(CopyHeads{all, s.n_key_heads, s.key_dim, s.key_dim}, in.qkv.columns(keys, keys));
    b.emit_into(CopyHeads{all, s.n_key_heads, 2 * s.key_dim, r * s.value_dim},
                in.qkv.columns(2 * keys, values));
    in.gate = b.heads(all, s.n_key_heads, 2 * s.key_dim + r * s.value_dim, r * s.value_dim, "z");
}

void delta_layer(Builder& b, Value h, Value x, const Variant& variant) {
    const DeltaSizes s = delta_sizes(b);
    const std::int64_t keys = s.n_key_heads * s.key_dim, values = s.n_heads * s.value_dim;
    DeltaInputs in;
    if (b.has("attn_qkv")) {
        in.qkv = b.product(h, {b.linear("attn_qkv", h.cols, 2 * keys + values)}, "q k v");
        in.gate = b.product(h, {b.linear("attn_gate", h.cols, values)}, "z");
    } else {
        split_fused(b, h, s, in);
    }
    if (variant.split_rates) {
        in.beta = b.product(h, {b.linear("ssm_beta", h.cols, s.n_heads)}, "beta");
        in.alpha = b.product(h, {b.linear("ssm_alpha", h.cols, s.n_heads)}, "alpha");
    } else {
        const std::int64_t r = s.n_heads / s.n_key_heads;
        const Value rates = b.product(h, {b.linear("ssm_ba", h.cols, 2 * s.n_heads)}, "beta alpha");
        in.beta = b.heads(rates, s.n_key_heads, 0, r, "beta");
        in.alpha = b.heads(rates, s.n_key_heads, r, r, "alpha");
    }
    const Value out = delta_net(b, in, s, b.plain_norm(NormKind::L2), variant.interleaved);
    b.add_product(out, b.linear("ssm_out", values, x.cols), x);
}

void build_family(Builder& b, const Variant& variant) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        if (is_recurrent(b))
            delta_layer(b, h, x, variant);
        else
            gated_attention(b, h, x);
        b.next_stage();
        const Value h2 = b.normalise(x, b.norm("post_attention_norm"), "h");
        if (!variant.experts) {
            ffn(b, h2, x, {});
            continue;
        }
        const Router router = router_of(b, {.normalise = true, .reads_gating = false});
        const std::int64_t width = expert_width(b, router);
        moe(b, h2, x,
            {.router = router,
             .width = width,
             .shared = SharedExpert::Gated,
             .shared_ffn = {.width = b.hp().integer("expert_shared_feed_forward_length").value_or(width)}});
    }
    b.finish(x);
}

}  // namespace

void build_qwen3next(Builder& b) { build_family(b, {.experts = true}); }
void build_qwen35(Builder& b) { build_family(b, {.interleaved = true, .split_rates = true}); }
void build_qwen35moe(Builder& b) {
    build_family(b, {.interleaved = true, .experts = true, .split_rates = true});
}

}  // namespace assay::model
