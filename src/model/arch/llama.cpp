// llama (Llama 1 to 3, Mistral, Mixtral, Yi, SmolLM, TinyLlama, ...) and mistral3.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

void build_llama_like(Builder& b, const AttentionBlock& block) {
    const bool has_experts = b.hp().integer("expert_count").value_or(0) > 0;
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x, block);
        b.next_stage();
        const Value h = b.normalise(x, b.norm("ffn_norm"), "h");
        if (has_experts)
            moe(b, h, x,
                {.router = router_of(b, {.normalise = true, .reads_gating = false}), .width = b.hp().ffn(i)});
        else
            ffn(b, h, x, {});
    }
    b.finish(x);
}

}  // namespace

void build_llama(Builder& b) {
    b.use_norms(NormKind::Rms);
    build_llama_like(
        b, {.rope = make_rope(b, b.hp().head_dim(0), {}), .scale = b.hp().number("attention.scale", 0)});
}

void build_mistral3(Builder& b) {
    b.use_norms(NormKind::Rms);
    AttentionBlock block{.rope = make_rope(b, b.hp().head_dim(0), {.yarn_keys = true}),
                         .scale = b.hp().number("attention.scale", 0)};
    if (const float temperature = b.hp().number("attention.temperature_scale", 0); temperature != 0)
        block.query_scale = query_temperature(
            b, temperature,
            b.hp().integer("rope.scaling.original_context_length").value_or(b.hp().context_length()));
    build_llama_like(b, block);
}

}  // namespace assay::model
