// Experts between a norm before and a norm after: kolibri1, maion-coder, grok.
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// Heads turn where they see a window only.
void add_windowed_attention(Builder& b, Value x, const Windows& windows) {
    const bool windowed = windows.windowed(b.layer());
    attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x,
              {.rope = windowed ? rope_of(b, Pairing::Halves) : Rope{},
               .head_norms = HeadNorms::Each,
               .window = windows.of(b.layer()),
               .post_norm = b.norm("post_attention_norm")});
}

/// Experts of a latent of moe_latent_size columns.
Value latent_experts(Builder& b, Value h) {
    const std::int64_t latent = b.hp().required("moe_latent_size");
    const Router router = router_of(b, {.normalise = true, .reads_gating = false});
    const Value logits = b.precise_product(h, b.linear("ffn_gate_inp", h.cols, router.n_experts), "logits");
    b.mark_ffn_input(h);
    const Value hl = b.product(h, {b.linear("ffn_latent_down", h.cols, latent)}, "latent");
    const Value sum = moe_sum(
        b, hl, {.router = router, .width = b.hp().required("expert_feed_forward_length"), .logits = logits});
    return b.product(sum, {b.linear("ffn_latent_up", latent, h.cols)}, "experts");
}

}  // namespace

void build_kolibri1(Builder& b) {
    const Hyperparameters& hp = b.hp();
    const Windows windows(b, {.period = 5, .reads_array = true});
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        b.begin_layer(x);
        add_windowed_attention(b, x, windows);
        b.next_stage();
        Router router = router_of(b, {.gating = Gating::Sigmoid, .reads_gating = false});
        // 2 is what the reference takes; other writers name this rule 5.
        if (const std::int64_t rule = hp.required("expert_gating_func"); rule != 2 && rule != 5)
            throw_error(ErrorKind::Unsupported, b.where(), "{} is {}, expected 2 or 5",
                        hp.key("expert_gating_func"), rule);
        router.select_logits = true;
        router.weight_scale = 1;
        const std::int64_t shared = hp.required("expert_shared_feed_forward_length");
        const Value sum = moe_sum(b, b.normalise(x, b.norm("ffn_norm"), "h"),
                                  {.router = router,
                                   .width = hp.required("expert_feed_forward_length"),
                                   .shared = SharedExpert::Plain,
                                   .shared_ffn = {.width = shared}});
        b.add(sum, b.norm("post_ffw_norm"), 1, x);
    }
    b.finish(x);
}

void build_maion_coder(Builder& b) {
    const Windows windows(b, {.reads_array = true});
    const std::int64_t step = b.hp().required("interleave_moe_layer_step");
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        add_windowed_attention(b, x, windows);
        b.next_stage();
        const Value h = b.normalise(x, b.norm("ffn_norm"), "h");
        if ((i + 1) % step == 0)
            b.add(latent_experts(b, h), b.norm("post_ffw_norm"), 1, x);
        else
            ffn(b, h, x, {}, {.post_norm = b.norm("post_ffw_norm")});
    }
    b.finish(x);
}

void build_grok(Builder& b) {
    constexpr GateFunction kGelu{.activation = Activation::Gelu};
    const Hyperparameters& hp = b.hp();
    b.use_norms(NormKind::Rms);
    const Value x = b.embed(hp.number("embedding_scale", 78.38367176906169));
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        b.begin_layer(x);
        AttentionBlock block;
        block.rope =
            make_rope(b, hp.head_dim(i),
                      {.pairing = Pairing::Halves, .yarn_betas = true, .beta_fast = 8, .factors = false});
        block.scale = hp.number("attention.output_scale", 0.08838834764831845);
        block.soft_cap = hp.number("attn_logit_softcapping", 30);
        block.post_norm = b.norm("attn_output_norm");
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x, block);
        b.next_stage();
        const Value h = b.normalise(x, b.norm("ffn_norm"), "h");
        const Router router = router_of(b, {.normalise = true, .reads_gating = false});
        const std::int64_t width = hp.integer("expert_feed_forward_length").value_or(hp.ffn(i));
        const MoeBlock experts{.router = router, .width = width, .function = kGelu};
        Value sum;
        if (b.has("ffn_up")) {
            const Value inner = ffn_inner(b, h, {.function = kGelu});
            const Value both = b.product(inner, {b.linear("ffn_down", inner.cols, x.cols)}, "dense");
            moe(b, h, both, experts);
            sum = b.chain(both, {affine(std::sqrt(0.5f))}, "sum");
        } else {
            sum = moe_sum(b, h, experts);
        }
        b.add(sum, b.norm(b.has("layer_output_norm") ? "layer_output_norm" : "post_ffw_norm"), 1, x);
    }
    b.finish(x);
    b.scale_logits(hp.number("logit_scale", 0.5773502691896257), hp.number("final_logit_softcapping", 0));
}

}  // namespace assay::model
