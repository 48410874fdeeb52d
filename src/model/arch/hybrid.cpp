// Attention beside, or in turn with, Mamba-2 or a short convolution: falcon-h1, nemotron_h (with experts and
// without), granitehybrid, mamba2, lfm2 and lfm2moe.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// Layers without key heads have another mixer than attention.
bool has_attention(const Builder& b) { return b.hp().per_layer("attention.head_count_kv", b.layer(), 1) > 0; }

/// act(up), down in a latent of moe_latent_size columns where the file has one.
void nemotron_experts(Builder& b, Value h, Value x) {
    constexpr GateFunction kRelu2{.activation = Activation::Relu2};
    MoeBlock block{.router = router_of(b, {.gating = Gating::Sigmoid, .reads_gating = false}),
                   .width = b.hp().required("expert_feed_forward_length"),
                   .function = kRelu2,
                   .gated = false};
    const FfnBlock shared{.width = b.hp().integer("expert_shared_feed_forward_length").value_or(block.width),
                          .function = kRelu2,
                          .gated = false,
                          .suffix = "_shexp"};
    block.logits = b.precise_product(h, b.linear("ffn_gate_inp", h.cols, block.router.n_experts), "logits");
    b.mark_ffn_input(h);
    if (!b.has("ffn_latent_down")) {
        ffn(b, h, x, shared);
        return moe(b, h, x, block);
    }
    const std::int64_t latent = b.hp().required("moe_latent_size");
    const Value hl = b.product(h, {b.linear("ffn_latent_down", h.cols, latent)}, "latent");
    ffn(b, h, x, shared);
    const Value sum = moe_sum(b, hl, block);
    b.next_stage();
    b.add_product(sum, b.linear("ffn_latent_up", latent, x.cols), x);
}

void build_one_mixer_layers(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        if (b.hp().per_layer("feed_forward_length", i, 0) > 0) {
            if (b.has("ffn_gate_inp"))
                nemotron_experts(b, h, x);
            else
                ffn(b, h, x, {.function = {.activation = Activation::Relu2}, .gated = false});
        } else if (has_attention(b)) {
            attention(b, h, x, {});
        } else {
            mamba2(b, h, x);
        }
    }
    b.finish(x);
}

}  // namespace

void build_falcon_h1(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        attention(b, h, x,
                  {.rope = make_rope(b, b.hp().head_dim(i), {.pairing = Pairing::Halves, .factors = false}),
                   .output_bias = false});
        mamba2(b, h, x);
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {});
    }
    b.finish(x);
}

void build_nemotron_h(Builder& b) { build_one_mixer_layers(b); }

void build_granitehybrid(Builder& b) {
    b.use_norms(NormKind::Rms);
    const float scale = b.hp().number("residual_scale", 0) != 0 ? b.hp().number("residual_scale", 0) : 1;
    const bool rotates = b.hp().flag("rope.scaling.finetuned", true);
    const float embedding = b.hp().number("embedding_scale", 0);
    const Value x = b.embed(embedding != 0 ? embedding : 1);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        if (has_attention(b)) {
            AttentionBlock block{.scale = b.hp().number("attention.scale", 0), .branch_scale = scale};
            if (rotates) block.rope = rope_of(b, Pairing::Adjacent);
            attention(b, h, x, block);
        } else {
            mamba2(b, h, x, scale);
        }
        b.next_stage();
        const Value h2 = b.normalise(x, b.norm("ffn_norm"), "h");
        if (!b.has("ffn_gate_inp")) {
            ffn(b, h2, x, {}, {{}, scale});
            continue;
        }
        const std::int64_t shared = b.hp().integer("expert_shared_feed_forward_length").value_or(0);
        moe(b, h2, x,
            {.router = router_of(b, {.normalise = true, .reads_gating = false}),
             .width = b.hp().ffn(i),
             .shared = shared > 0 ? SharedExpert::Plain : SharedExpert::None,
             .shared_ffn = {.width = shared}},
            scale);
    }
    b.finish(x);
    if (const float logits = b.hp().number("logit_scale", 0); logits != 0) b.scale_logits(1 / logits, 0);
}

void build_mamba2(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        mamba2(b, b.normalise(x, b.norm("attn_norm"), "h"), x);
    }
    b.finish(x);
}

void build_lfm2(Builder& b) {
    b.use_norms(NormKind::Rms);
    const std::int64_t window = b.hp().integer("attention.sliding_window").value_or(0);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        if (has_attention(b))
            attention(b, h, x,
                      {.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each, .window = window});
        else
            short_convolution(b, h, x);
        b.next_stage();
        const Value h2 = b.normalise(x, b.norm("ffn_norm"), "h");
        if (b.has("ffn_gate_inp"))
            moe(b, h2, x,
                {.router = router_of(b, {.normalise = true}),
                 .width = b.hp().required("expert_feed_forward_length")});
        else
            ffn(b, h2, x, {});
    }
    b.begin_head();
    b.finish_normed(b.normalise(x, b.norm("token_embd_norm"), "final"));
}

}  // namespace assay::model
