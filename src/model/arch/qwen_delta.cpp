// qwen3next, qwen35, qwen35moe and qwen4exp: three layers of gated delta net to one of gated attention.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

struct Variant {
    bool interleaved = false;  ///< value heads are stored so that head h reads key head h % n_key_heads
    bool experts = false;
    bool split_rates = false;            ///< ssm_alpha and ssm_beta instead of ssm_ba
    Activation gate = Activation::Silu;  ///< of what leaves the delta net
};

bool is_recurrent(const Builder& b) {
    const std::int64_t interval = b.hp().integer("full_attention_interval").value_or(4);
    const std::int64_t otherwise = interval > 0 && (b.layer() + 1) % interval == 0 ? 0 : 1;
    return b.hp().per_layer("attention.recurrent_layers", b.layer(), otherwise) != 0;
}

/// What enters attn_output. Rows of attn_q are [query | gate] for each head.
Value gated_attention(Builder& b, Value h, AttentionBlock block) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t n = hp.n_heads(b.layer()), n_kv = hp.n_kv_heads(b.layer()),
                       dim = hp.head_dim(b.layer()), value_dim = hp.value_dim(b.layer());
    const Value all =
        b.product(h,
                  {b.linear("attn_q", h.cols, 2 * n * dim), b.linear("attn_k", h.cols, n_kv * dim),
                   b.linear("attn_v", h.cols, n_kv * value_dim)},
                  "q gate k v");
    const Value q_gate = all.columns(0, 2 * n * dim);
    block.head_norms = HeadNorms::Each;
    const Value q = b.heads(q_gate, n, 0, dim, "q");
    const Value gate = b.heads(q_gate, n, dim, dim, "gate");
    const Value out = attended(b, q, all.columns(2 * n * dim, n_kv * dim),
                               all.columns(2 * n * dim + n_kv * dim, n_kv * value_dim), block);
    return b.chain(out, {times(b.chain(gate, {apply(Activation::Sigmoid)}, "gate"))}, "gated");
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

/// What enters ssm_out.
Value gated_delta(Builder& b, Value h, const Variant& variant) {
    const DeltaSizes s = delta_sizes(b);
    const std::int64_t keys = s.n_key_heads * s.key_dim, values = s.n_heads * s.value_dim;
    DeltaInputs in{.gate_function = variant.gate};
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
    return delta_net(b, in, s, b.plain_norm(NormKind::L2), variant.interleaved);
}

MoeBlock experts_with_gated_shared(Builder& b) {
    const Router router = router_of(b, {.normalise = true, .reads_gating = false});
    const std::int64_t width = expert_width(b, router);
    return {.router = router,
            .width = width,
            .shared = SharedExpert::Gated,
            .shared_ffn = {.width = b.hp().integer("expert_shared_feed_forward_length").value_or(width)}};
}

std::string_view output_of(bool recurrent) { return recurrent ? "ssm_out" : "attn_output"; }

void build_family(Builder& b, const Variant& variant) {
    b.use_norms(NormKind::Rms);
    const auto layer = [&](Value x, bool recurrent) {
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        const Value out = recurrent ? gated_delta(b, h, variant)
                                    : gated_attention(b, h, {.rope = rope_of(b, Pairing::Halves)});
        b.add_product(out, b.linear(output_of(recurrent), out.cols, x.cols), x);
        b.next_stage();
        const Value h2 = b.normalise(x, b.norm("post_attention_norm"), "h");
        if (variant.experts)
            moe(b, h2, x, experts_with_gated_shared(b));
        else
            ffn(b, h2, x, {});
    };
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        layer(x, is_recurrent(b));
    }
    b.finish(x);
    nextn_blocks(b, x, {.layer = [&](Value stream) { layer(stream, false); }});
}

/// qwen4exp: blocks of keys by the mean of their own; absent where a layer sees everything.
Value chosen_blocks(Builder& b, Value h, const Rope& rope, std::int64_t block_tokens) {
    const IndexerSizes s = indexer_sizes(b);
    const Value q = b.product(h, {b.linear("indexer.q_proj", h.cols, s.n_heads * s.head_dim)}, "indexer q");
    const Value raw = b.product(h, {b.linear("indexer.k_proj", h.cols, s.head_dim)}, "indexer k");
    const Norm q_norm = b.norm("indexer.q_norm", s.head_dim), k_norm = b.norm("indexer.k_norm", s.head_dim);
    if (b.n_rows() <= s.n_chosen) return {};
    const Value keys = b.emit(Pool{.x = raw, .block_tokens = block_tokens}, s.head_dim, "block keys");
    b.emit_into(TurnHeads{.n_heads = s.n_heads, .norm = q_norm, .rope = rope}, q);
    b.emit_into(TurnHeads{.n_heads = 1, .norm = k_norm, .rope = rope}, keys);
    return choose_blocks(b, q, keys, {}, block_tokens, s.n_chosen / block_tokens, true);
}

Value sparse_attention(Builder& b, Value h) {
    AttentionBlock block;
    block.rope = make_rope(b, b.hp().head_dim(b.layer()),
                           {.pairing = Pairing::Halves, .sections = Sections::Interleaved});
    block.scale = b.hp().number("attention.scale", 0);
    block.chosen_tokens = b.hp().per_layer("attention.compress_ratios", b.layer(), 0);
    if (block.chosen_tokens > 0) block.chosen = chosen_blocks(b, h, block.rope, block.chosen_tokens);
    return gated_attention(b, h, block);
}

}  // namespace

void build_qwen3next(Builder& b) { build_family(b, {.experts = true}); }
void build_qwen35(Builder& b) { build_family(b, {.interleaved = true, .split_rates = true}); }
void build_qwen35moe(Builder& b) {
    build_family(b, {.interleaved = true, .experts = true, .split_rates = true});
}

void build_qwen4exp(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Variant variant{.interleaved = true, .split_rates = true, .gate = Activation::Sigmoid};
    const auto layer = [&](Value x, bool recurrent) {
        const HyperStep first = open_low_rank(b, x, "hc_attn");
        const Value out = recurrent ? gated_delta(b, first.input, variant) : sparse_attention(b, first.input);
        const Linear output = b.linear(output_of(recurrent), out.cols, b.hidden());
        close_hyper(b, x, first, b.product(out, {output}, "branch"), x);
        b.next_stage();
        const HyperStep second = open_low_rank(b, x, "hc_ffn");
        const Value sum = moe_sum(b, second.input, experts_with_gated_shared(b));
        b.next_stage();
        close_hyper(b, x, second, sum, x);
    };
    const Value x = hyper_embed(b);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        if (has_ngrams(b)) add_ngrams(b, x);
        layer(x, is_recurrent(b));
    }
    b.begin_head();
    b.finish_normed(low_rank_head(b, x, "output_hc"));
    nextn_blocks(b, x,
                 {.layer = [&](Value streams) { layer(streams, false); },
                  .hands_residual = true,
                  .leave = [&](Value streams) { return low_rank_head(b, streams, "nextn.hc_head"); },
                  .leaves_by_own = true});
}

}  // namespace assay::model
