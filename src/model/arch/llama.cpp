// llama (Llama 1 to 3, Mistral, Mixtral, Yi, SmolLM, TinyLlama, ...), llama-embed and mistral3.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

void build_llama_like(Builder& b, const AttentionBlock& block) {
    Decoder decoder{.attention = [&] { return block; }};
    if (b.hp().integer("expert_count").value_or(0) > 0)
        decoder.ffn = [&](Value h, Value x) {
            const Router router = router_of(b, {.normalise = true, .reads_gating = false});
            moe(b, h, x, {.router = router, .width = b.hp().ffn(b.layer())});
        };
    build_decoder(b, decoder);
}

}  // namespace

void build_llama(Builder& b) {
    build_llama_like(b,
                     {.rope = rope_of(b, Pairing::Adjacent), .scale = b.hp().number("attention.scale", 0)});
}

void build_llama_embed(Builder& b) {
    build_llama_like(b, {.rope = rope_of(b, Pairing::Adjacent),
                         .scale = b.hp().number("attention.scale", 0),
                         .causal = false});
}

void build_mistral3(Builder& b) {
    AttentionBlock block{
        .rope = make_rope(
            b, b.hp().head_dim(0),
            {.yarn_betas = true, .log_multiplier = b.hp().number("rope.scaling.yarn_log_multiplier", 0)}),
        .scale = b.hp().number("attention.scale", 0)};
    if (const float temperature = b.hp().number("attention.temperature_scale", 0); temperature != 0)
        block.query_scale = query_temperature(
            b, temperature,
            b.hp().integer("rope.scaling.original_context_length").value_or(b.hp().context_length()));
    build_llama_like(b, block);
}

}  // namespace assay::model
