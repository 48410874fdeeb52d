// Plain attention with routed and shared experts: qwen2moe, deepseek, glm4moe, dots1, gpt-oss.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// Shared experts of the same width as the routed ones, expert_shared_count of them side by side.
FfnBlock shared_beside(const Builder& b, std::int64_t width) {
    return {.width = width * b.hp().integer("expert_shared_count").value_or(1)};
}

bool is_dense(const Builder& b) {
    return b.layer() < b.hp().integer("leading_dense_block_count").value_or(0);
}

}  // namespace

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
                              if (is_dense(b)) return ffn(b, h, x, {});
                              const Router router = router_of(b, {.normalise = false, .reads_gating = false});
                              const std::int64_t width = b.hp().required("expert_feed_forward_length");
                              moe(b, h, x,
                                  {.router = router,
                                   .width = width,
                                   .shared = SharedExpert::Plain,
                                   .shared_ffn = shared_beside(b, width)});
                          }});
}

void build_glm4moe(Builder& b) {
    build_decoder(b, {.ffn_norm = "post_attention_norm",
                      .attention =
                          [&] {
                              const bool normed = b.has("attn_q_norm");
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = normed ? HeadNorms::Each : HeadNorms::None};
                          },
                      .ffn =
                          [&](Value h, Value x) {
                              if (is_dense(b)) return ffn(b, h, x, {});
                              const std::int64_t width = b.hp().required("expert_feed_forward_length");
                              moe(b, h, x,
                                  {.router = router_of(b, {.gating = Gating::Sigmoid}),
                                   .width = width,
                                   .shared = SharedExpert::Plain,
                                   .shared_ffn = shared_beside(b, width)});
                          }});
}

void build_dots1(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Each};
                          },
                      .ffn =
                          [&](Value h, Value x) {
                              if (is_dense(b)) return ffn(b, h, x, {});
                              const std::int64_t width = b.hp().required("expert_feed_forward_length");
                              moe(b, h, x,
                                  {.router = router_of(b, {.gating = Gating::Sigmoid}),
                                   .width = width,
                                   .shared = SharedExpert::Plain,
                                   .shared_ffn = shared_beside(b, width)});
                          }});
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
