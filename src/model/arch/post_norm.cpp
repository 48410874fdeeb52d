// Norms behind the branches: olmo2 and exaone4 have no others, glm4, plamo3 and muse-glimmer have both; olmo
// has no weights in its norms.
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

std::function<void(Value, Value)> normed_ffn(Builder& b) {
    return [&b](Value h, Value x) { ffn(b, h, x, {}, {.post_norm = b.norm("post_ffw_norm")}); };
}

}  // namespace

void build_olmo(Builder& b) {
    b.use_norms(NormKind::Layer);
    const Norm norm = b.plain_norm(NormKind::Layer);
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        attention(b, b.normalise(x, norm, "h"), x,
                  {.rope = rope_of(b, Pairing::Adjacent), .clamp = b.hp().number("attention.clamp_kqv", 0)});
        b.next_stage();
        ffn(b, b.normalise(x, norm, "h"), x, {});
    }
    b.begin_head();
    b.finish_normed(b.normalise(x, norm, "final"));
}

void build_olmo2(Builder& b) {
    const Windows windows(b, {.period = 4});
    build_decoder(b, {.attention_norm = "",
                      .ffn_norm = "",
                      .attention =
                          [&] {
                              const bool windowed = windows.windowed(b.layer());
                              const RopeOptions options{
                                  .pairing = Pairing::Halves, .scaled = !windowed, .unmagnified = windowed};
                              return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                                                    .head_norms = HeadNorms::Full,
                                                    .window = windows.of(b.layer()),
                                                    .post_norm = b.norm("post_attention_norm")};
                          },
                      .ffn = normed_ffn(b)});
}

void build_exaone4(Builder& b) {
    constexpr std::int64_t kLayers32B = 64;  // windows, and no rotation where there are none
    const bool windowed_model = b.hp().n_layers() == kLayers32B;
    const Windows windows(b, {.period = 4});
    build_decoder(b, {.attention_norm = "",
                      .ffn_norm = "",
                      .attention =
                          [&, windowed_model] {
                              const bool windowed = windowed_model && windows.windowed(b.layer());
                              const bool turns = !windowed_model || windowed;
                              return AttentionBlock{.rope = turns ? rope_of(b, Pairing::Halves) : Rope{},
                                                    .head_norms = HeadNorms::Each,
                                                    .window = windowed ? windows.of(b.layer()) : 0,
                                                    .post_norm = b.norm("post_attention_norm")};
                          },
                      .ffn = normed_ffn(b)});
}

void build_glm4(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              // Files with sections are of models whose heads are stored in halves.
                              const bool sections =
                                  b.hp().metadata().find(b.hp().key("rope.dimension_sections")) != nullptr;
                              const RopeOptions options{
                                  .pairing = sections ? Pairing::Halves : Pairing::Adjacent,
                                  .sections = sections ? Sections::Consecutive : Sections::None};
                              return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                                                    .post_norm = b.norm("post_attention_norm")};
                          },
                      .ffn = normed_ffn(b)});
}

void build_plamo3(Builder& b) {
    const Windows windows(b, {.period = 8});
    build_decoder(b, {.attention =
                          [&] {
                              const bool windowed = windows.windowed(b.layer());
                              RopeOptions options{.pairing = Pairing::Halves};
                              if (windowed) {
                                  options.base = b.hp().real("rope.freq_base_swa").value_or(10000);
                                  options.scaled = false;
                              }
                              return AttentionBlock{.rope = make_rope(b, b.hp().head_dim(b.layer()), options),
                                                    .head_norms = HeadNorms::Each,
                                                    .window = windows.of(b.layer()),
                                                    .post_norm = b.norm("post_attention_norm")};
                          },
                      .ffn = normed_ffn(b)});
}

void build_muse_glimmer(Builder& b) {
    const Windows windows(b, {.period = 4, .reads_array = true});
    constexpr float kPostEps = 1e-8f;
    const auto post = [&](std::string_view name) {
        Norm norm = b.norm(name);
        norm.eps = kPostEps;
        return norm;
    };
    build_decoder(b,
                  {.start = [&] { return b.normalise(b.embed(), b.plain_norm(NormKind::Rms), "x"); },
                   .attention =
                       [&] {
                           const bool windowed = windows.windowed(b.layer());
                           RopeOptions options{.scaled = false};
                           options.base = b.hp().real("rope.freq_base_swa").value_or(0);
                           return AttentionBlock{
                               .rope = windowed ? make_rope(b, b.hp().head_dim(b.layer()), options) : Rope{},
                               .head_norms = HeadNorms::Each,
                               .window = windows.of(b.layer()),
                               .gate = Activation::Sigmoid,
                               .post_norm = post("post_attention_norm")};
                       },
                   .ffn = [&](Value h, Value x) { ffn(b, h, x, {}, {.post_norm = post("post_ffw_norm")}); },
                   .logit_scale = b.hp().number("logit_scale", 1),
                   .logit_soft_cap = b.hp().number("final_logit_softcapping", 30)});
}

}  // namespace assay::model
