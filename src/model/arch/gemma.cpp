// gemma, gemma2, gemma3, gemma-embedding: embeddings scaled by sqrt(hidden), GELU-gated feed-forward; 2 and 3
// add norms after each branch and sliding windows. Stored norm weights already hold the family's "+ 1".
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr std::int64_t kGemma2Layers27B = 46;
constexpr std::int64_t kGemma3Layers27B = 62;

/// What differs between them.
struct Variant {
    bool post_norms = false;
    HeadNorms head_norms = HeadNorms::None;
    float attention_soft_cap = 0;
    std::int64_t window = 0;
    std::int64_t period = 1;       ///< the last layer of each period sees everything; 0: none does
    double local_base = 0;         ///< rotary base of windowed layers; 0: the common one
    bool local_scaled = true;      ///< rotary scaling applies to windowed layers too
    bool scale_by_hidden = false;  ///< queries scaled by 1/sqrt(hidden / heads)
    bool causal = true;            ///< false: windows are symmetric
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

AttentionBlock attention_of(Builder& b, const Variant& variant) {
    const bool windowed = is_windowed(variant, b.layer());
    AttentionBlock block;
    block.rope = make_rope(b, b.hp().head_dim(b.layer()),
                           {.pairing = Pairing::Halves,
                            .base = windowed ? variant.local_base : 0,
                            .scaled = !windowed || variant.local_scaled});
    block.head_norms = variant.head_norms;
    block.soft_cap = variant.attention_soft_cap;
    if (windowed) block.window = variant.window;
    if (!variant.causal) {
        block.causal = false;
        block.window_kind = WindowKind::Symmetric;
    }
    if (variant.scale_by_hidden)
        block.scale = 1.0f / std::sqrt(static_cast<float>(b.hidden() / b.hp().n_heads(b.layer())));
    if (variant.post_norms) block.post_norm = b.norm("post_attention_norm");
    return block;
}

void build_family(Builder& b, const Variant& variant) {
    const Value x = b.embed(std::sqrt(static_cast<float>(b.hidden())));
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x, attention_of(b, variant));
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {.function = {.activation = Activation::Gelu}},
            {.post_norm = variant.post_norms ? b.norm("post_ffw_norm") : Norm{}});
    }
    b.finish(x);
}

void build_gemma3_like(Builder& b, Variant variant) {
    b.use_norms(NormKind::Rms);
    variant.post_norms = true;
    variant.head_norms = HeadNorms::Each;
    variant.window = window_of(b.hp(), 0);
    variant.period = period_of(b.hp(), 6);
    variant.local_base = b.hp().number("rope.freq_base_swa", 10000);
    variant.local_scaled = false;
    build_family(b, variant);
}

}  // namespace

void build_gemma(Builder& b) {
    b.use_norms(NormKind::Rms);
    build_family(b, {});
}

void build_gemma2(Builder& b) {
    b.use_norms(NormKind::Rms);
    Variant variant;
    variant.post_norms = true;
    variant.attention_soft_cap = b.hp().number("attn_logit_softcapping", 50);
    variant.window = window_of(b.hp(), 4096);
    variant.period = period_of(b.hp(), 2);
    variant.local_base = b.hp().number("rope.freq_base_swa", 0);
    variant.scale_by_hidden = b.hp().n_layers() == kGemma2Layers27B;
    build_family(b, variant);
    b.scale_logits(1, b.hp().number("final_logit_softcapping", 30));
}

void build_gemma3(Builder& b) {
    build_gemma3_like(b, {.scale_by_hidden = b.hp().n_layers() == kGemma3Layers27B});
    b.scale_logits(1, b.hp().number("final_logit_softcapping", 0));
}

void build_gemma_embedding(Builder& b) { build_gemma3_like(b, {.causal = false}); }

}  // namespace assay::model
