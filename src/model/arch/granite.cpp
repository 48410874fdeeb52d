// granite, granitemoe, granite_swa and minicpm: embeddings, branches and logits are scaled. refact and
// ernie4_5 have the same choice of a dense or a mixed feed-forward.
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

float given(const Builder& b, std::string_view name, float otherwise) {
    const float value = b.hp().number(name, 0);
    return value != 0 ? value : otherwise;
}

void dense_or_mixed(Builder& b, Value h, Value x, float scale) {
    if (!b.has("ffn_gate_inp")) return ffn(b, h, x, {}, {{}, scale});
    const std::int64_t shared = b.hp().integer("expert_shared_feed_forward_length").value_or(0);
    const bool has_shared = shared > 0 && b.has("ffn_up_shexp");
    moe(b, h, x,
        {.router = router_of(b, {.normalise = true, .reads_gating = false}),
         .width = b.hp().ffn(b.layer()),
         .shared = has_shared ? SharedExpert::Plain : SharedExpert::None,
         .shared_ffn = {.width = shared}},
        scale);
}

struct Scales {
    float embedding = 1, residual = 1, logits = 1;
};

void build_scaled(Builder& b, const Scales& scales, const std::function<AttentionBlock()>& block) {
    build_decoder(b, {.embedding_scale = scales.embedding,
                      .attention = block,
                      .ffn = [&](Value h, Value x) { dense_or_mixed(b, h, x, scales.residual); },
                      .residual_scale = scales.residual,
                      .logit_scale = 1 / scales.logits});
}

Scales granite_scales(const Builder& b) {
    return {given(b, "embedding_scale", 1), given(b, "residual_scale", 1), given(b, "logit_scale", 1)};
}

}  // namespace

void build_granite(Builder& b) {
    const bool turns = b.hp().flag("rope.scaling.finetuned", true);
    build_scaled(b, granite_scales(b), [&, turns] {
        return AttentionBlock{.rope = turns ? rope_of(b, Pairing::Adjacent) : Rope{},
                              .scale = b.hp().number("attention.scale", 0)};
    });
}

void build_granite_swa(Builder& b) {
    const Windows windows(b, {.reads_array = true});
    build_scaled(b, granite_scales(b), [&] {
        const bool turns = b.hp().per_layer("attention.rope_pattern", b.layer(), 1) != 0;
        return AttentionBlock{.rope = turns ? rope_of(b, Pairing::Adjacent) : Rope{},
                              .scale = b.hp().number("attention.scale", 0),
                              .window = windows.of(b.layer())};
    });
}

void build_minicpm(Builder& b) {
    const auto layers = static_cast<float>(b.hp().n_layers());
    build_scaled(b,
                 {given(b, "embedding_scale", 12), given(b, "residual_scale", 1.4f / std::sqrt(layers)),
                  given(b, "logit_scale", static_cast<float>(b.hidden()) / 256)},
                 [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Adjacent)}; });
}

void build_refact(Builder& b) {
    // Biases that files may have are not applied.
    build_decoder(b, {.attention = [] { return AttentionBlock{.max_alibi_bias = 8, .output_bias = false}; },
                      .ffn = [&](Value h, Value x) { ffn(b, h, x, {.biases = false}); }});
}

}  // namespace assay::model
