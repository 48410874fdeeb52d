// More decoders with routed experts: olmoe, phimoe, dbrx, minimax-m2, hunyuan-moe, hy_v3, ernie4_5,
// bailingmoe, bailingmoe2, exaone-moe, mellum, maple, qwen3vlmoe, rnd1, llada-moe, smallthinker, afmoe.
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// Routed experts alone.
std::function<void(Value, Value)> routed(Builder& b, RouterDefaults defaults) {
    return [&b, defaults](Value h, Value x) {
        const Router router = router_of(b, defaults);
        moe(b, h, x, {.router = router, .width = expert_width(b, router)});
    };
}

/// The same where feed_forward_length is that of an expert.
std::function<void(Value, Value)> routed_as_wide(Builder& b, RouterDefaults defaults) {
    return [&b, defaults](Value h, Value x) {
        moe(b, h, x, {.router = router_of(b, defaults), .width = b.hp().ffn(b.layer())});
    };
}

/// Dense in the first layers, then routed and shared experts.
std::function<void(Value, Value)> dense_then_shared(Builder& b, RouterDefaults defaults) {
    return [&b, defaults](Value h, Value x) {
        dense_lead(b, h, x, {.router = defaults, .reads_shared_width = true});
    };
}

constexpr RouterDefaults kSoftmaxNormalised{.normalise = true, .reads_gating = false};
constexpr RouterDefaults kSoftmaxPlain{.normalise = false, .reads_gating = false};

}  // namespace

void build_olmoe(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Full};
                          },
                      .ffn = routed_as_wide(b, kSoftmaxPlain)});
}

void build_phimoe(Builder& b) {
    build_decoder(b, {.attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves)}; },
                      .ffn = routed_as_wide(b, kSoftmaxNormalised)});
}

void build_dbrx(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .ffn_norm = "attn_output_norm",
                      .attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .clamp = b.hp().number("attention.clamp_kqv", 0)};
                          },
                      .ffn = routed_as_wide(b, kSoftmaxNormalised)});
}

void build_minimax_m2(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Full};
                          },
                      .ffn = routed(b, {.gating = Gating::Sigmoid, .normalise = true})});
}

void build_hunyuan_moe(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Each,
                                                    .norm_last = true};
                          },
                      .ffn = dense_then_shared(b, kSoftmaxNormalised)});
}

void build_hy_v3(Builder& b) {
    build_decoder(
        b, {.attention =
                [&] {
                    return AttentionBlock{.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each};
                },
            .ffn =
                [&](Value h, Value x) {
                    if (!b.has("ffn_gate_inp")) return ffn(b, h, x, {});
                    MoeBlock block =
                        led_experts(b, {.router = {.gating = Gating::Sigmoid}, .reads_shared_width = true});
                    block.router.selection_bias = b.optional_vector("exp_probs_b", block.router.n_experts);
                    moe(b, h, x, block);
                },
            .hands_on = Decoder::HandsOn::Final});
}

void build_ernie4_5(Builder& b) {
    const bool sections = b.hp().architecture() == "paddleocr";
    const RopeOptions options{.pairing = sections ? Pairing::Halves : Pairing::Adjacent,
                              .sections = sections ? Sections::Consecutive : Sections::None};
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                                                    .output_bias = sections};
                          },
                      .ffn =
                          [&](Value h, Value x) {
                              const std::int64_t step =
                                  b.hp().integer("interleave_moe_layer_step").value_or(1);
                              const bool mixed = b.has("ffn_gate_inp") && !is_dense(b) &&
                                                 (step <= 0 || (b.layer() + 1) % step == 0);
                              if (!mixed) return ffn(b, h, x, {});
                              const Router router = router_of(b, kSoftmaxNormalised);
                              const std::int64_t shared =
                                  b.hp().integer("expert_shared_feed_forward_length").value_or(0);
                              moe(b, h, x,
                                  {.router = router,
                                   .width = expert_width(b, router),
                                   .shared = shared > 0 ? SharedExpert::Plain : SharedExpert::None,
                                   .shared_ffn = {.width = shared}});
                          }});
}

void build_bailingmoe(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              const Rope rope = rope_of(b, Pairing::Adjacent);
                              return AttentionBlock{
                                  .rope = rope, .scale = 1.0f / std::sqrt(static_cast<float>(rope.n_rot()))};
                          },
                      .ffn =
                          [&](Value h, Value x) {
                              const Router router = router_of(b, {.reads_gating = false});
                              const std::int64_t width = expert_width(b, router);
                              moe(b, h, x,
                                  {.router = router,
                                   .width = width,
                                   .shared = SharedExpert::Plain,
                                   .shared_ffn = {.width = width * b.hp().required("expert_shared_count")}});
                          }});
}

void build_bailingmoe2(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Each};
                          },
                      .ffn = dense_then_shared(b, {.gating = Gating::Sigmoid})});
}

void build_exaone_moe(Builder& b) {
    const Windows windows(b, {.period = 4});
    build_decoder(b, {.attention =
                          [&] {
                              const bool windowed = windows.windowed(b.layer());
                              return AttentionBlock{.rope = windowed ? rope_of(b, Pairing::Halves) : Rope{},
                                                    .head_norms = HeadNorms::Each,
                                                    .window = windows.of(b.layer())};
                          },
                      .ffn = dense_then_shared(b, {.gating = Gating::Sigmoid})});
}

void build_mellum(Builder& b) {
    const Windows windows(b, {.period = 4, .reads_array = true});
    build_decoder(b, {.attention =
                          [&] {
                              const RopeOptions options{.pairing = Pairing::Halves,
                                                        .scaled = !windows.windowed(b.layer()),
                                                        .unmagnified = windows.windowed(b.layer())};
                              return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                                                    .head_norms = HeadNorms::Each,
                                                    .window = windows.of(b.layer())};
                          },
                      .ffn = routed(b, {.normalise = true})});
}

void build_maple(Builder& b) {
    const Windows windows(b, {.reads_array = true});
    build_decoder(
        b, {.attention =
                [&] {
                    const bool windowed = windows.windowed(b.layer());
                    RopeOptions options{.pairing = Pairing::Halves};
                    options.base = b.hp().real("rope.freq_base_swa").value_or(0);
                    return AttentionBlock{
                        .rope = windowed ? make_rope(b, b.hp().head_dim(b.layer()), options) : Rope{},
                        .head_norms = HeadNorms::Each,
                        .window = windows.of(b.layer())};
                },
            .ffn =
                [&](Value h, Value x) {
                    const Router router = router_of(b, kSoftmaxNormalised);
                    moe(b, h, x,
                        {.router = router,
                         .width = expert_width(b, router),
                         .function = clamped_function(b, "swiglu_clamp_exp", GateKind::ClampedBefore)});
                }});
}

void build_qwen3vlmoe(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()),
                                                                      {.pairing = Pairing::Halves,
                                                                       .sections = Sections::Interleaved}),
                                                    .head_norms = HeadNorms::Each};
                          },
                      .ffn = routed(b, kSoftmaxNormalised)});
}

void build_rnd1(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Each,
                                                    .causal = false};
                          },
                      .ffn = routed(b, kSoftmaxNormalised)});
}

void build_llada_moe(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Each,
                                                    .causal = false};
                          },
                      .ffn = routed(b, kSoftmaxPlain)});
}

void build_afmoe(Builder& b) {
    const Windows windows(b, {.period = 4});
    b.use_norms(NormKind::Rms);
    const Value x = b.embed(std::sqrt(static_cast<float>(b.hidden())));
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const bool turns = (i + 1) % 4 != 0;
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x,
                  {.rope = turns ? rope_of(b, Pairing::Halves) : Rope{},
                   .head_norms = HeadNorms::Each,
                   .window = windows.of(i),
                   .gate = Activation::Sigmoid,
                   .post_norm = b.norm("post_attention_norm")});
        b.next_stage();
        const Value h = b.normalise(x, b.norm("ffn_norm"), "h");
        const Value sum = dense_lead_sum(b, h, {.router = {.gating = Gating::Sigmoid}});
        b.add(sum, b.norm("post_ffw_norm"), 1, x);
    }
    b.finish(x);
}

}  // namespace assay::model
