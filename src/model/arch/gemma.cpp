// gemma, gemma2, gemma3: embeddings scaled by sqrt(hidden), GELU-gated feed-forward; 2 and 3 add norms after
// each branch and sliding windows. Stored norm weights already hold the family's "+ 1".
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"
#include "model/rope.h"

namespace assay::model {

namespace {

constexpr std::int64_t kGemma2Layers27B = 46;
constexpr std::int64_t kGemma3Layers27B = 62;

/// What differs between the three.
struct Variant {
    bool post_norms = false;
    bool head_norms = false;
    float attention_soft_cap = 0;
    std::int64_t window = 0;
    std::int64_t period = 1;       ///< the last layer of each period sees everything; 0: none does
    double local_base = 0;         ///< rotary base of windowed layers; 0: the common one
    bool local_scaled = true;      ///< rotary scaling applies to windowed layers too
    bool scale_by_hidden = false;  ///< queries scaled by 1/sqrt(hidden / heads)
};

bool is_windowed(const Variant& variant, std::int64_t layer) {
    if (variant.window == 0) return false;
    return variant.period == 0 || layer % variant.period < variant.period - 1;
}

std::int64_t window_of(const Hyperparameters& hp, std::int64_t otherwise) {
    const std::int64_t window = hp.integer("attention.sliding_window").value_or(otherwise);
    if (window < 0)
        throw_error(ErrorKind::BadFile, hp.metadata().where(), "{} is {}, expected 0 or more",
                    hp.key("attention.sliding_window"), window);
    return window;
}

/// A scalar period; an array is ignored, as llama.cpp does for this family.
std::int64_t period_of(const Hyperparameters& hp, std::int64_t otherwise) {
    const gguf::Value* value = hp.metadata().find(hp.key("attention.sliding_window_pattern"));
    if (value == nullptr || value->type == gguf::ValueType::Array) return otherwise;
    const std::int64_t period = *hp.integer("attention.sliding_window_pattern");
    if (period < 0)
        throw_error(ErrorKind::BadFile, hp.metadata().where(), "{} is {}, expected 0 or more",
                    hp.key("attention.sliding_window_pattern"), period);
    return period;
}

ModelSpec build_family(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options,
                       const Variant& variant) {
    const float eps = hp.epsilon("attention.layer_norm_rms_epsilon");
    const auto rms = [&](std::int64_t i, std::string_view name) {
        return tensors.norm(block_name(i, name), NormKind::Rms, hp.hidden(), eps);
    };
    ModelSpec spec = make_frame(hp, tensors, eps);
    spec.embedding_scale = std::sqrt(static_cast<float>(hp.hidden()));
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        const bool windowed = is_windowed(variant, i);
        Layer layer;
        layer.index = i;
        layer.mixer_norm = rms(i, "attn_norm");
        Attention attention = make_attention(hp, tensors, i);
        if (variant.head_norms) add_head_norms(attention, tensors, i, eps);
        attention.rope = make_rope(hp, tensors.file(), attention.head_dim,
                                   {.pairing = Rope::Pairing::Halves,
                                    .n_ctx = options.n_ctx,
                                    .base = windowed ? variant.local_base : 0,
                                    .scaled = !windowed || variant.local_scaled});
        attention.soft_cap = variant.attention_soft_cap;
        if (windowed) attention.window = variant.window;
        if (variant.scale_by_hidden) {
            const std::int64_t width = hp.hidden() / attention.n_heads;
            attention.scale = 1.0f / std::sqrt(static_cast<float>(width));
        }
        layer.mixer = std::move(attention);
        layer.ffn_norm = rms(i, "ffn_norm");
        layer.ffn = make_dense_ffn(hp, tensors, i, Activation::Gelu);
        if (variant.post_norms) {
            layer.mixer_post_norm = rms(i, "post_attention_norm");
            layer.ffn_post_norm = rms(i, "post_ffw_norm");
        }
        spec.layers.push_back(std::move(layer));
    }
    return spec;
}

}  // namespace

ModelSpec build_gemma(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    return build_family(hp, tensors, options, {});
}

ModelSpec build_gemma2(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    Variant variant;
    variant.post_norms = true;
    variant.attention_soft_cap = hp.number("attn_logit_softcapping", 50);
    variant.window = window_of(hp, 4096);
    variant.period = period_of(hp, 2);
    variant.local_base = hp.number("rope.freq_base_swa", 0);
    variant.scale_by_hidden = hp.n_layers() == kGemma2Layers27B;
    ModelSpec spec = build_family(hp, tensors, options, variant);
    spec.logit_soft_cap = hp.number("final_logit_softcapping", 30);
    return spec;
}

ModelSpec build_gemma3(const Hyperparameters& hp, const Tensors& tensors, const BuildOptions& options) {
    Variant variant;
    variant.post_norms = true;
    variant.head_norms = true;
    variant.window = window_of(hp, 0);
    variant.period = period_of(hp, 6);
    variant.local_base = hp.number("rope.freq_base_swa", 10000);
    variant.local_scaled = false;
    variant.scale_by_hidden = hp.n_layers() == kGemma3Layers27B;
    ModelSpec spec = build_family(hp, tensors, options, variant);
    spec.logit_soft_cap = hp.number("final_logit_softcapping", 0);
    return spec;
}

}  // namespace assay::model
