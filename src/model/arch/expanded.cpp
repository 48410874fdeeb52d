// Latent attention with keys and values made from the latent, and a dense feed-forward: minicpm3, plm.
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

void add_attention(Builder& b, Value x, Pairing pairing, bool factors, float scale) {
    const Hyperparameters& hp = b.hp();
    MlaBlock block;
    block.head_dim = hp.head_dim(b.layer());
    block.value_dim = hp.value_dim(b.layer());
    block.n_rot = hp.integer("rope.dimension_count").value_or(block.head_dim);
    block.rope = make_rope(b, block.head_dim, {.pairing = pairing, .n_rot = block.n_rot, .factors = factors});
    const Value out = mla_attended(b, b.normalise(x, b.norm("attn_norm"), "h"), block);
    add_branch(b, out, b.linear("attn_output", out.cols, x.cols), x, {.scale = scale});
}

}  // namespace

void build_minicpm3(Builder& b) {
    constexpr float kEmbeddingScale = 12, kDepthScale = 1.4f, kBaseWidth = 256;
    const float scale = kDepthScale / std::sqrt(static_cast<float>(b.hp().n_layers()));
    b.use_norms(NormKind::Rms);
    const Value x = b.embed(kEmbeddingScale);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        add_attention(b, x, Pairing::Halves, true, scale);
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {}, {.scale = scale});
    }
    b.begin_head();
    const Value normed = b.normalise(x, b.norm("output_norm"), "final");
    b.finish_normed(b.chain(normed, {affine(kBaseWidth / static_cast<float>(b.hidden()))}, "final"));
}

void build_plm(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        add_attention(b, x, Pairing::Adjacent, false, 1);
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x,
            {.function = {.activation = Activation::Relu2}, .gated = false});
    }
    b.finish(x);
}

}  // namespace assay::model
