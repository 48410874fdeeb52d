// Plain attention with routed and shared experts: qwen2moe, deepseek, glm4moe, dots1, gpt-oss.
#include "model/arch/architectures.h"

namespace assay::model {

void build_qwen2moe(Builder& b) {
    build_decoder(
        b, {.attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves)}; },
            .ffn =
                [&](Value h, Value x) {
                    const Router router = router_of(b, {.normalise = false, .reads_gating = false});
                    const std::int64_t shared =
                        b.hp().integer("expert_shared_feed_forward_length").value_or(b.hp().ffn(b.layer()));
                    moe(b, h, x,
                        {.router = router,
                         .width = expert_width(b, router),
                         .shared = SharedExpert::Gated,
                         .shared_ffn = {.width = shared}});
                }});
}

void build_deepseek(Builder& b) {
    build_decoder(b, {.attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Adjacent)}; },
                      .ffn =
                          [&](Value h, Value x) {
                              dense_lead(b, h, x, {.router = {.normalise = false, .reads_gating = false}});
                          }});
}

void build_glm4moe(Builder& b) {
    build_decoder(
        b, {.ffn_norm = "post_attention_norm",
            .attention =
                [&] {
                    const bool normed = b.has("attn_q_norm");
                    return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                          .head_norms = normed ? HeadNorms::Each : HeadNorms::None};
                },
            .ffn = [&](Value h, Value x) { dense_lead(b, h, x, {.router = {.gating = Gating::Sigmoid}}); },
            .hands_on = Decoder::HandsOn::Final});
}

void build_dots1(Builder& b) {
    build_decoder(
        b, {.attention =
                [&] {
                    return AttentionBlock{.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each};
                },
            .ffn = [&](Value h, Value x) { dense_lead(b, h, x, {.router = {.gating = Gating::Sigmoid}}); }});
}

void build_gpt_oss(Builder& b) {
    constexpr GateFunction kClamped{.kind = GateKind::SwigluOai, .limit = 7, .slope = 1.702f};
    const Windows windows(b, {.period = 2});
    build_decoder(
        b, {.ffn_norm = "post_attention_norm",
            .attention =
                [&] {
                    return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                          .window = windows.of(b.layer())};
                },
            .ffn =
                [&](Value h, Value x) {
                    const Router router = router_of(
                        b, {.gating = Gating::SoftmaxSelected, .normalise = false, .reads_gating = false});
                    moe(b, h, x,
                        {.router = router,
                         .width = b.hp().required("expert_feed_forward_length"),
                         .function = kClamped});
                }});
}

}  // namespace assay::model
