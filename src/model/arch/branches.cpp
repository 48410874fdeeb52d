// Routed experts that do not stand where others have them: arctic (beside the layer), grovemoe (a second set
// after the first), deepseek2-ocr (without latent attention).
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

void build_arctic(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h_experts = b.normalise(x, b.norm("ffn_norm_exps"), "h of experts");
        attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x, {.rope = rope_of(b, Pairing::Adjacent)});
        b.next_stage();
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {.width = b.hidden()});
        moe(b, h_experts, x,
            {.router = router_of(b, {.normalise = true, .reads_gating = false}), .width = b.hp().ffn(i)});
    }
    b.finish(x);
}

namespace {

/// x += expert_group_scale * sum over the chosen of weight * expert(y), where experts_per_group of the other
/// experts share one of these. As in the reference they read what the others gave.
void add_chunk_experts(Builder& b, Value y, Value logits, Router router, Value x) {
    const Hyperparameters& hp = b.hp();
    router.logits_per_expert = hp.required("experts_per_group");
    if (router.logits_per_expert < 1 || router.n_experts % router.logits_per_expert != 0)
        throw_error(ErrorKind::BadFile, b.where(),
                    "{} experts share a chunk expert, which does not divide the {} experts",
                    router.logits_per_expert, router.n_experts);
    router.n_experts /= router.logits_per_expert;
    const std::int64_t n = router.n_experts;
    router.n_used = std::min(router.n_used, n);
    router.weight_scale *= hp.number("expert_group_scale", 1);
    const std::int64_t width =
        hp.integer("expert_chunk_feed_forward_length").value_or(hp.head_dim(b.layer()));
    Experts op;
    op.x = y;
    op.logits = logits;
    op.router = router;
    op.gate = b.linear("ffn_gate_chexps", y.cols, width, n);
    op.up = b.linear("ffn_up_chexps", y.cols, width, n);
    op.down = b.linear("ffn_down_chexps", width, y.cols, n);
    b.emit_into(std::move(op), x);
}

}  // namespace

void build_grovemoe(Builder& b) {
    const auto attention = [&] {
        return AttentionBlock{.rope = rope_of(b, Pairing::Halves), .head_norms = HeadNorms::Each};
    };
    const auto feed_forward = [&](Value h, Value x) {
        Router router = router_of(b, {.normalise = true, .reads_gating = false});
        router.select_logits = true;
        const Value logits =
            b.precise_product(h, b.linear("ffn_gate_inp", h.cols, router.n_experts), "logits");
        const Value y = moe_sum(b, h, {.router = router, .width = expert_width(b, router), .logits = logits});
        b.add(y, {}, 1, x);
        add_chunk_experts(b, y, logits, router, x);
    };
    build_decoder(b, {.attention = attention, .ffn = feed_forward});
}

void build_deepseek2_ocr(Builder& b) {
    const auto attention = [&] {
        const std::int64_t dim = b.hp().head_dim(b.layer());
        return AttentionBlock{.rope = make_rope(b, dim,
                                                {.pairing = Pairing::Halves,
                                                 .scaled = false,
                                                 .unmagnified = true,
                                                 .n_rot = dim,
                                                 .factors = false})};
    };
    const auto feed_forward = [&](Value h, Value x) { dense_lead(b, h, x, {}); };
    build_decoder(b, {.attention = attention, .ffn = feed_forward});
}

}  // namespace assay::model
