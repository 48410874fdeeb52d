// qwen2, qwen3 and qwen3moe: llama's frame with the other rotary pairing; qwen3 normalises each head.
#include "model/arch/architectures.h"
#include "model/rope.h"

namespace assay::model {

namespace {

struct Variant {
    bool head_norms = false;
    bool experts = false;
};

ModelSpec build_qwen(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options,
                     Variant variant) {
    const float eps = hp.epsilon("attention.layer_norm_rms_epsilon");
    ModelSpec spec = make_frame(hp, tensors, eps);
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        Layer layer;
        layer.index = i;
        layer.mixer_norm = tensors.norm(block_name(i, "attn_norm"), NormKind::Rms, hp.hidden(), eps);
        Attention attention = make_attention(hp, tensors, i);
        if (variant.head_norms) add_head_norms(attention, tensors, i, eps);
        attention.rope = make_rope(hp, tensors.file(), attention.head_dim,
                                   {.pairing = Rope::Pairing::Halves, .n_ctx = options.n_ctx});
        layer.mixer = std::move(attention);
        layer.ffn_norm = tensors.norm(block_name(i, "ffn_norm"), NormKind::Rms, hp.hidden(), eps);
        if (variant.experts) {
            const std::int64_t experts_used = hp.integer("expert_used_count").value_or(1);
            const std::int64_t otherwise = experts_used > 0 ? hp.ffn(i) / experts_used : hp.ffn(i);
            layer.ffn =
                make_expert_ffn(hp, tensors, i, hp.integer("expert_feed_forward_length").value_or(otherwise));
        } else {
            layer.ffn = make_dense_ffn(hp, tensors, i, Activation::Silu);
        }
        spec.layers.push_back(std::move(layer));
    }
    return spec;
}

}  // namespace

ModelSpec build_qwen2(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    return build_qwen(hp, tensors, options, {});
}

ModelSpec build_qwen3(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    return build_qwen(hp, tensors, options, {.head_norms = true});
}

ModelSpec build_qwen3moe(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    return build_qwen(hp, tensors, options, {.head_norms = true, .experts = true});
}

}  // namespace assay::model
