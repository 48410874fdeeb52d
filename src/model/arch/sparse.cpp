// Latent attention over keys that an indexer chooses: deepseek32, glm-dsa, dots3note and hy_v4.
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr float kIndexerEps = 1e-6f;

std::int64_t n_rot(const Builder& b) { return b.hp().required("rope.dimension_count"); }

/// The choice of a layer that has an indexer, else that of the last one that had.
class Choices {
  public:
    Choices(Builder& b, IndexerBlock block) : b_(b), block_(std::move(block)) {}
    std::function<Value(Value)> of(Value h, bool own) {
        return [this, h, own](Value query_latent) {
            if (own) last_ = indexed(b_, h, query_latent, block_);
            return last_;
        };
    }
    /// Nothing, with an indexer's products all the same.
    std::function<Value(Value)> none(Value h) {
        return [this, h](Value query_latent) {
            IndexerBlock idle = block_;
            idle.chooses = false;
            return indexed(b_, h, query_latent, idle);
        };
    }

  private:
    Builder& b_;
    IndexerBlock block_;
    Value last_{};
};

void build_chosen(Builder& b, Pairing indexer_pairing, const std::function<bool()>& has_indexer) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    Choices choices(b, {.rope = make_rope(b, n_rot(b), {.pairing = indexer_pairing}), .eps = kIndexerEps});
    const auto layer = [&](Value stream, const std::function<std::function<Value(Value)>(Value)>& choose) {
        const Value h = b.normalise(stream, b.norm("attn_norm"), "h");
        MlaBlock block = deepseek_attention(b);
        block.choose = choose(h);
        mla(b, h, stream, block);
        b.next_stage();
        dense_lead(b, b.normalise(stream, b.norm("ffn_norm"), "h"), stream,
                   {.router = {.gating = Gating::Sigmoid}});
    };
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        layer(x, [&](Value h) { return choices.of(h, has_indexer()); });
    }
    b.finish(x);
    // The reference's block sees all keys, whatever its indexer would choose.
    const auto choose = [&](Value h) {
        return b.has("indexer.proj") ? choices.none(h) : std::function<Value(Value)>{};
    };
    nextn_blocks(b, x, {.layer = [&](Value stream) { layer(stream, choose); }});
}

MlaBlock windowed(const Builder& b) {
    const Hyperparameters& hp = b.hp();
    return {.kv_rank = hp.required("attention.kv_lora_rank_swa"),
            .head_dim = hp.required("attention.key_length_mla_swa"),
            .value_dim = hp.required("attention.value_length_mla_swa"),
            .rope = make_rope(b, n_rot(b), {.base = hp.number("rope.freq_base_swa", 0)}),
            .window = hp.required("attention.sliding_window")};
}

}  // namespace

void build_deepseek32(Builder& b) {
    build_chosen(b, Pairing::Halves, [] { return true; });
}

void build_glm_dsa(Builder& b) {
    build_chosen(b, Pairing::Adjacent, [&b] {
        return b.hp().per_layer("attention.indexer.types", b.layer(), b.has("indexer.proj") ? 1 : 0) != 0;
    });
}

void build_dots3note(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    Choices choices(b, {.rope = make_rope(b, n_rot(b), {.pairing = Pairing::Halves}), .eps = kIndexerEps});
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        MlaBlock block;
        if (b.hp().per_layer("attention.sliding_window_pattern", i, 0) != 0) {
            block = windowed(b);
        } else {
            block.rope = make_rope(b, n_rot(b), {});
            block.choose = choices.of(h, true);
        }
        block.key_norm = true;
        block.gate = Activation::Sigmoid;
        mla(b, h, x, block);
        b.next_stage();
        dense_lead(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {.router = {.gating = Gating::Sigmoid}});
    }
    b.finish(x);
}

void build_hy_v4(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = hyper_embed(b);
    const bool sparse = b.hp().integer("attention.indexer.top_k").value_or(0) > 0;
    const Rope rope = make_rope(b, n_rot(b), {});
    Choices choices(b, {.rope = rope, .turns_last = true, .eps = b.eps()});
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const HyperStep attention = open_ihc(b, x, "hc_attn");
        const Value h = b.normalise(attention.input, b.norm("attn_norm"), "h");
        MlaBlock block{.rope = rope, .gate = Activation::Sigmoid};
        if (sparse) block.choose = choices.of(h, b.hp().per_layer("attention.indexer.types", i, 1) != 0);
        const Value out = mla_attended(b, h, block);
        const Value branch = b.product(out, {b.linear("attn_output", out.cols, b.hidden())}, "branch");
        close_hyper(b, x, attention, branch, x);
        b.next_stage();
        const HyperStep step = open_ihc(b, x, "hc_ffn");
        const Value sum =
            dense_lead_sum(b, b.normalise(step.input, b.norm("ffn_norm"), "h"),
                           {.router = {.gating = Gating::Sigmoid},
                            .function = clamped_function(b, "swiglu_clamp_exp", GateKind::ClampedBefore)});
        b.next_stage();
        close_hyper(b, x, step, sum, x);
    }
    b.begin_head();
    b.finish_normed(b.normalise(hyper_head(b, x), b.norm("output_norm"), "final"));
}

}  // namespace assay::model
