// Decoders of the common frame whose feed-forward is dense and gated, and that differ in rotation, head norms
// and small things only.
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// The plain frame with rotation in every layer.
void build_plain(Builder& b, Pairing pairing, NormKind norms = NormKind::Rms) {
    build_decoder(b,
                  {.norms = norms, .attention = [&] { return AttentionBlock{.rope = rope_of(b, pairing)}; }});
}

AttentionBlock with_head_norms(const Builder& b, Pairing pairing) {
    return {.rope = rope_of(b, pairing), .head_norms = HeadNorms::Each};
}

}  // namespace

void build_internlm2(Builder& b) { build_plain(b, Pairing::Adjacent); }
void build_exaone(Builder& b) { build_plain(b, Pairing::Halves); }
void build_pangu(Builder& b) {
    build_decoder(
        b, {.attention = [&] {
            return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()),
                                                    {.pairing = Pairing::Halves, .factors = false})};
        }});
}
void build_orion(Builder& b) { build_plain(b, Pairing::Halves, NormKind::Layer); }
void build_phi3(Builder& b) { build_plain(b, Pairing::Halves); }
void build_chatglm(Builder& b) { build_plain(b, Pairing::Adjacent); }

void build_smollm3(Builder& b) {
    build_decoder(b, {.attention = [&] {
                      const bool turns = (b.layer() + 1) % 4 != 0;
                      return AttentionBlock{.rope = turns ? rope_of(b, Pairing::Adjacent) : Rope{}};
                  }});
}

void build_seed_oss(Builder& b) {
    build_decoder(b, {.ffn_norm = "post_attention_norm",
                      .attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves)}; }});
}

void build_qwen(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        const std::int64_t width = b.hp().n_heads(i) * b.hp().head_dim(i),
                           keys = b.hp().n_kv_heads(i) * b.hp().head_dim(i);
        const Value qkv = b.product(h, {b.linear("attn_qkv", h.cols, 3 * width)}, "qkv");
        const Value out = attended(b, qkv.columns(0, width), qkv.columns(width, keys),
                                   qkv.columns(width + keys, keys), {.rope = rope_of(b, Pairing::Halves)});
        b.add_product(out, b.linear("attn_output", width, x.cols), x);
        b.next_stage();
        // The key counts both branches.
        ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {.width = b.hp().ffn(i) / 2});
    }
    b.finish(x);
}

void build_qwen2vl(Builder& b) {
    build_decoder(b, {.optional_epsilon = true, .attention = [&] {
                          return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()),
                                                                  {.pairing = Pairing::Halves,
                                                                   .sections = Sections::Consecutive})};
                      }});
    b.drop_output_bias();
}

void build_qwen3vl(Builder& b) {
    build_decoder(b, {.attention = [&] {
                      return AttentionBlock{
                          .rope = make_rope(b, b.hp().head_dim(b.layer()),
                                            {.pairing = Pairing::Halves, .sections = Sections::Interleaved}),
                          .head_norms = HeadNorms::Each};
                  }});
}

void build_dream(Builder& b) {
    build_decoder(b, {.attention = [&] {
                      return AttentionBlock{.rope = rope_of(b, Pairing::Halves), .causal = false};
                  }});
}

void build_llada(Builder& b) {
    build_decoder(b, {.attention = [&] {
                      return AttentionBlock{.rope = rope_of(b, Pairing::Adjacent), .causal = false};
                  }});
}

void build_openelm(Builder& b) {
    build_decoder(b, {.attention = [&] { return with_head_norms(b, Pairing::Halves); }});
}

void build_maincoder(Builder& b) {
    build_decoder(b, {.attention = [&] {
                      AttentionBlock block = with_head_norms(b, Pairing::Adjacent);
                      block.norm_last = true;
                      return block;
                  }});
}

void build_hunyuan_dense(Builder& b) {
    const float alpha = b.hp().number("rope.scaling.alpha", 0);
    build_decoder(b, {.attention = [&, alpha] {
                      const std::int64_t dim = b.hp().head_dim(b.layer());
                      RopeOptions options{.pairing = Pairing::Halves};
                      // NTK-aware scaling of the base.
                      if (alpha > 0)
                          options.base = b.hp().real("rope.freq_base").value_or(10000) *
                                         std::pow(static_cast<double>(alpha),
                                                  static_cast<double>(dim) / static_cast<double>(dim - 2));
                      options.sections = Sections::Consecutive;
                      return AttentionBlock{.rope = make_rope(b, dim, options),
                                            .head_norms = HeadNorms::Each,
                                            .norm_last = true};
                  }});
}

void build_bitnet(Builder& b) {
    build_decoder(
        b,
        {.attention =
             [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves), .sub_norm = "attn_sub_norm"}; },
         .ffn = [&](Value h, Value x) { ffn(b, h, x, {.sub_norm = "ffn_sub_norm"}); }});
}

void build_baichuan(Builder& b) {
    constexpr std::int64_t kLayers13B = 40;  // has ALiBi instead of a rotation
    constexpr std::int64_t kLayers7B = 32;
    const bool slopes = b.hp().n_layers() == kLayers13B, turns = b.hp().n_layers() == kLayers7B;
    build_decoder(b, {.attention = [&, slopes, turns] {
                      return AttentionBlock{.rope = turns ? rope_of(b, Pairing::Adjacent) : Rope{},
                                            .max_alibi_bias = slopes ? 8.0f : 0.0f};
                  }});
}

void build_jais(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer, .attention = [&] {
                          return AttentionBlock{
                              .scale = 1.0f / static_cast<float>(b.hp().head_dim(b.layer())),
                              .max_alibi_bias = b.hp().number("attention.max_alibi_bias", 0)};
                      }});
}

void build_spark2_5(Builder& b) {
    const Windows windows(b, {.reads_array = true});
    build_decoder(
        b, {.attention =
                [&] {
                    const bool windowed = windows.windowed(b.layer());
                    RopeOptions options{.pairing = Pairing::Halves};
                    if (windowed) {
                        options.base = b.hp().real("rope.freq_base_swa").value_or(0);
                        options.n_rot = b.hp().integer("rope.dimension_count_swa").value_or(0);
                    }
                    return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                                          .window = windows.of(b.layer()),
                                          .gate = Activation::Sigmoid};
                },
            .ffn = [&](Value h, Value x) { ffn(b, h, x, {.function = {.activation = Activation::Gelu}}); }});
}

}  // namespace assay::model
