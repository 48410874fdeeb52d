// Attention and feed-forward side by side on the stream that enters the layer: falcon, gptneox, phi2, plamo,
// command-r, cohere2, stablelm (12B).
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr std::int64_t kHeadNormLayers = 64;  ///< Command-R+ and larger normalise heads

}  // namespace

void build_falcon(Builder& b) {
    // The 40B model has a norm of its own for each branch.
    Decoder decoder{.norms = NormKind::Layer,
                    .ffn_norm = "",
                    .parallel = true,
                    .attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves)}; },
                    .ffn = plain_ffn(b, Activation::Gelu)};
    if (b.tensors().has("blk.0.attn_norm_2.weight")) {
        decoder.attention_norm = "attn_norm_2";
        decoder.ffn_norm = "attn_norm";
    }
    build_decoder(b, decoder);
}

void build_gptneox(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .parallel = b.hp().flag("use_parallel_residual", true),
                      .attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves)}; },
                      .ffn = plain_ffn(b, Activation::Gelu)});
}

void build_phi2(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .ffn_norm = "",
                      .parallel = true,
                      .attention = [&] { return AttentionBlock{.rope = rope_of(b, Pairing::Halves)}; },
                      .ffn = plain_ffn(b, Activation::Gelu)});
}

void build_plamo(Builder& b) {
    build_decoder(b, {.ffn_norm = "", .parallel = true, .attention = [&] {
                          return AttentionBlock{.rope = rope_of(b, Pairing::Halves)};
                      }});
}

void build_command_r(Builder& b) {
    const bool head_norms = b.hp().n_layers() >= kHeadNormLayers;
    build_decoder(b, {.norms = NormKind::Layer,
                      .ffn_norm = "",
                      .parallel = true,
                      .attention =
                          [&, head_norms] {
                              return AttentionBlock{
                                  .rope = rope_of(b, Pairing::Adjacent),
                                  .head_norms = head_norms ? HeadNorms::Each : HeadNorms::None};
                          },
                      .logit_scale = b.hp().number("logit_scale", 1)});
}

void build_cohere2(Builder& b) {
    const Windows windows(b, {.period = 4});
    build_decoder(b, {.norms = NormKind::Layer,
                      .ffn_norm = "",
                      .parallel = true,
                      .attention =
                          [&] {
                              AttentionBlock block{.window = windows.of(b.layer())};
                              // Layers that see everything have no positions.
                              if (windows.windowed(b.layer())) block.rope = rope_of(b, Pairing::Adjacent);
                              return block;
                          },
                      .logit_scale = b.hp().number("logit_scale", 1)});
}

void build_stablelm(Builder& b) {
    // Models without ffn_norm are parallel.
    const bool parallel = !b.tensors().has("blk.0.ffn_norm.weight");
    const bool head_norms = b.tensors().has("blk.0.attn_q_norm.weight");
    build_decoder(b, {.norms = NormKind::Layer,
                      .ffn_norm = parallel ? "" : "ffn_norm",
                      .parallel = parallel,
                      .attention = [&, head_norms] {
                          return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                .head_norms = head_norms ? HeadNorms::Each : HeadNorms::None};
                      }});
}

}  // namespace assay::model
