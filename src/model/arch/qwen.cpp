// qwen2, qwen3 and qwen3moe: llama's frame with the other rotary pairing; qwen3 normalises each head.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// expert_feed_forward_length, or what feed_forward_length leaves each expert that is used.
std::int64_t expert_width(const Builder& b, const Router& router) {
    return b.hp().integer("expert_feed_forward_length").value_or(b.hp().ffn(b.layer()) / router.n_used);
}

void build_qwen(Builder& b, HeadNorms head_norms, bool experts) {
    b.use_norms(NormKind::Rms);
    const AttentionBlock block{.rope = make_rope(b, b.hp().head_dim(0), {.pairing = Pairing::Halves}),
                               .head_norms = head_norms};
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x, block);
        b.next_stage();
        const Value h = b.normalise(x, b.norm("ffn_norm"), "h");
        if (experts) {
            const Router router = router_of(b, {.normalise = true, .reads_gating = false});
            moe(b, h, x, {.router = router, .width = expert_width(b, router)});
        } else {
            ffn(b, h, x, {});
        }
    }
    b.finish(x);
}

}  // namespace

void build_qwen2(Builder& b) { build_qwen(b, HeadNorms::None, false); }
void build_qwen3(Builder& b) { build_qwen(b, HeadNorms::Each, false); }
void build_qwen3moe(Builder& b) { build_qwen(b, HeadNorms::Each, true); }

}  // namespace assay::model
