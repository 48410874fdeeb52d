// llama (Llama 1 to 3, Mistral, Mixtral, Yi, SmolLM, TinyLlama, ...) and mistral3.
#include "core/error.h"
#include "model/arch/architectures.h"
#include "model/rope.h"

namespace assay::model {

namespace {

ModelSpec build_llama_like(const Hyperparameters& hp, const Tensors& tensors, const RopeOptions& rope) {
    const float eps = hp.epsilon("attention.layer_norm_rms_epsilon");
    const bool has_experts = hp.integer("expert_count").value_or(0) > 0;
    ModelSpec spec = make_frame(hp, tensors, eps);
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        Layer layer;
        layer.index = i;
        layer.mixer_norm = tensors.norm(block_name(i, "attn_norm"), NormKind::Rms, hp.hidden(), eps);
        Attention attention = make_attention(hp, tensors, i);
        attention.rope = make_rope(hp, tensors.file(), attention.head_dim, rope);
        if (const float scale = hp.number("attention.scale", 0); scale != 0) attention.scale = scale;
        layer.mixer = std::move(attention);
        layer.ffn_norm = tensors.norm(block_name(i, "ffn_norm"), NormKind::Rms, hp.hidden(), eps);
        if (has_experts)
            layer.ffn = make_expert_ffn(hp, tensors, i, hp.ffn(i));
        else
            layer.ffn = make_dense_ffn(hp, tensors, i, Activation::Silu);
        spec.layers.push_back(std::move(layer));
    }
    return spec;
}

}  // namespace

ModelSpec build_llama(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    return build_llama_like(hp, tensors, {.pairing = Rope::Pairing::Adjacent, .n_ctx = options.n_ctx});
}

ModelSpec build_mistral3(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    ModelSpec spec = build_llama_like(
        hp, tensors, {.pairing = Rope::Pairing::Adjacent, .n_ctx = options.n_ctx, .yarn_keys = true});
    const float temperature = hp.number("attention.temperature_scale", 0);
    const std::int64_t length =
        hp.integer("rope.scaling.original_context_length").value_or(hp.context_length());
    if (temperature != 0 && length <= 0)
        throw_error(ErrorKind::BadFile, tensors.file().where(), "{} is {}, expected a positive number",
                    hp.key("rope.scaling.original_context_length"), length);
    for (Layer& layer : spec.layers) {
        auto& attention = std::get<Attention>(layer.mixer);
        attention.temperature = temperature;
        attention.temperature_length = length;
    }
    return spec;
}

}  // namespace assay::model
