// Dense decoders with one habit of their own: talkie, chameleon, cogvlm, deci, pockettts.
#include "model/arch/architectures.h"

namespace assay::model {

/// Norms without weights, a factor for each query head, and the embedding again after each layer.
void build_talkie(Builder& b) {
    const Hyperparameters& hp = b.hp();
    b.use_norms(NormKind::Rms);
    const Norm plain = b.plain_norm(NormKind::Rms);
    const Value embedding = b.embed();
    const Value x = b.normalise(embedding, plain, "x"), skip = b.normalise(embedding, plain, "skip");
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, plain, "h");
        const std::int64_t dim = hp.head_dim(i), n_q = hp.n_heads(i), n_k = hp.n_kv_heads(i);
        const Value qkv =
            b.product(h,
                      {b.linear("attn_q", h.cols, n_q * dim), b.linear("attn_k", h.cols, n_k * dim),
                       b.linear("attn_v", h.cols, n_k * hp.value_dim(i))},
                      "q k v");
        const Value q = qkv.columns(0, n_q * dim), k = qkv.columns(n_q * dim, n_k * dim);
        const AttentionBlock block{
            .rope = rope_of(b, Pairing::Halves), .plain_head_norms = true, .norm_last = true};
        turn_heads(b, q, "", block);
        turn_heads(b, k, "", block);
        const Value out = attended_turned(b, b.chain(q, {times(b.vector("attn_q_norm.weight", n_q))}, "q"), k,
                                          qkv.columns((n_q + n_k) * dim, n_k * hp.value_dim(i)), block);
        b.add_product(out, b.linear("attn_output", out.cols, x.cols), x);
        b.next_stage();
        ffn(b, b.normalise(x, plain, "h"), x, {});
        b.add(b.chain(skip, {times(b.vector("layer_output_scale.weight", 1))}, "skip"), {}, 1, x);
    }
    b.begin_head();
    b.finish_normed(b.normalise(x, plain, "final"));
    b.scale_logits(hp.number("logit_scale", 1), 0);
}

/// The reference takes image tokens out of the distribution of some rows only; here none does.
void build_chameleon(Builder& b) {
    const bool after = b.hp().flag("swin_norm", false);
    const std::string before = after ? "" : "attn_norm";
    Decoder decoder{.attention_norm = before, .ffn_norm = after ? "" : "ffn_norm"};
    decoder.attention = [&] {
        AttentionBlock block{.rope = rope_of(b, Pairing::Adjacent), .head_layer_norm_eps = 1e-5f};
        if (b.has("attn_q_norm")) block.head_norms = HeadNorms::Each;
        if (after) block.post_norm = b.norm("attn_norm");
        return block;
    };
    if (after) decoder.ffn = [&](Value h, Value x) { ffn(b, h, x, {}, {.post_norm = b.norm("ffn_norm")}); };
    build_decoder(b, decoder);
}

/// The fused projection is three times the stream wide, however many key heads there are. Text only.
void build_cogvlm(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const std::int64_t dim = b.hp().head_dim(i), k = b.hp().n_kv_heads(i) * dim;
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        const Value qkv = b.product(h, {b.linear("attn_qkv", h.cols, 3 * x.cols)}, "q k v");
        AttentionBlock block;
        block.rope = make_rope(b, dim,
                               {.pairing = Pairing::Halves,
                                .base = 10000,
                                .scaled = false,
                                .unmagnified = true,
                                .n_rot = dim,
                                .factors = false});
        const Value out = attended(b, qkv.columns(0, b.hp().n_heads(i) * dim), qkv.columns(x.cols, k),
                                   qkv.columns(2 * x.cols, k), block);
        b.add_product(out, b.linear("attn_output", out.cols, x.cols), x);
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {});
    }
    b.finish(x);
}

/// Layers without key heads have one product in place of attention; layers without heads none, and layers of
/// feed-forward length 0 no feed-forward.
void build_deci(Builder& b) {
    const Hyperparameters& hp = b.hp();
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        const std::int64_t n_heads = hp.per_layer("attention.head_count", i, 0);
        const std::int64_t n_kv_heads = hp.per_layer("attention.head_count_kv", i, n_heads);
        const bool feeds = hp.per_layer("feed_forward_length", i, 0) > 0;
        if (n_heads == 0 && !feeds) continue;
        b.begin_layer(x, i);
        if (n_heads > 0) {
            const Value h = b.normalise(x, b.norm("attn_norm"), "h");
            if (n_kv_heads > 0)
                attention(b, h, x,
                          {.rope = rope_of(b, Pairing::Adjacent), .scale = hp.number("attention.scale", 0)});
            else
                b.add_product(h, b.linear("attn_output", h.cols, x.cols), x);
            if (feeds) b.next_stage();
        }
        if (feeds) ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {});
    }
    b.finish(x);
}

void build_pockettts(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Adjacent)}; },
                      .ffn = plain_ffn(b, Activation::Gelu)});
}

}  // namespace assay::model
