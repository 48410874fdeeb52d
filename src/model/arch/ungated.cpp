// Decoders of the common frame whose feed-forward has no gate: act(ffn_up), ffn_down.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

void build_ungated(Builder& b, NormKind norms, const Rope& rope, Activation activation) {
    build_decoder(b, {.norms = norms,
                      .attention = [&] { return AttentionBlock{.rope = rope}; },
                      .ffn = plain_ffn(b, activation)});
}

/// A number for all layers, or an array; without the architecture's prefix.
float xielu(const Builder& b, const std::string& name) {
    const gguf::Metadata& metadata = b.hp().metadata();
    const std::string key = "xielu." + name;
    const gguf::Value* value = metadata.find(key);
    if (value == nullptr || value->type != gguf::ValueType::Array)
        return static_cast<float>(metadata.get_real(key));
    const auto all = metadata.find_reals(key);
    const auto layer = static_cast<std::size_t>(b.layer());
    if (layer >= all->size())
        throw_error(ErrorKind::BadFile, b.where(), "{} has {} entries, expected one for each layer", key,
                    all->size());
    return static_cast<float>((*all)[layer]);
}

/// xIELU (Huang & Schlag 2025): x > 0: p x^2 + beta x; else n (exp(min(x, eps)) - 1 - x) + beta x.
Value xielu(Builder& b, Value u) {
    constexpr float kLowest = std::numeric_limits<float>::lowest();
    const auto softplus = [](float x) { return x > 20 ? x : std::log1p(std::exp(x)); };
    const float beta = xielu(b, "beta"), eps = xielu(b, "eps");
    const float p = softplus(xielu(b, "alpha_p")), n = beta + softplus(xielu(b, "alpha_n"));
    const Value below =
        b.chain(u, {clamp(kLowest, std::min(0.0f, eps)), apply(Activation::Exp), affine(n, -n)}, "below");
    const Value line = b.chain(u, {clamp(kLowest, 0), affine(-n)}, "line");
    const Value slope = b.chain(u, {affine(beta)}, "slope");
    return b.chain(u, {apply(Activation::Relu2), affine(p), plus(below), plus(line), plus(slope)}, "inner");
}

}  // namespace

void build_arcee(Builder& b) {
    build_ungated(b, NormKind::Rms, rope_of(b, Pairing::Adjacent), Activation::Relu2);
}
void build_nemotron(Builder& b) {
    build_ungated(b, NormKind::Layer, rope_of(b, Pairing::Halves), Activation::Relu2);
}
void build_starcoder2(Builder& b) {
    build_ungated(b, NormKind::Layer, rope_of(b, Pairing::Halves), Activation::Gelu);
}
void build_codeshell(Builder& b) {
    build_ungated(b, NormKind::Layer, rope_of(b, Pairing::Halves), Activation::Gelu);
}
void build_jais2(Builder& b) {
    build_ungated(b, NormKind::Layer, rope_of(b, Pairing::Halves), Activation::Relu2);
}

void build_gpt2(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .start = [&] { return embed_positions(b); },
                      .attention = [] { return AttentionBlock{}; },
                      .ffn = plain_ffn(b, Activation::Gelu)});
}

void build_bloom(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .start = [&] { return embed_positions(b); },
                      .attention = [] { return AttentionBlock{.max_alibi_bias = 8}; },
                      .ffn = plain_ffn(b, Activation::Gelu)});
}

void build_mpt(Builder& b) {
    build_decoder(b, {.norms = NormKind::Layer,
                      .start = [&] { return embed_positions(b); },
                      .attention =
                          [&] {
                              return AttentionBlock{
                                  .head_norms = b.has("attn_q_norm") ? HeadNorms::Full : HeadNorms::None,
                                  .clamp = b.hp().number("attention.clamp_kqv", 0),
                                  .max_alibi_bias = b.hp().number("attention.max_alibi_bias", 0)};
                          },
                      .ffn = plain_ffn(b, Activation::Gelu)});
}

void build_apertus(Builder& b) {
    build_decoder(b, {.attention =
                          [&] {
                              return AttentionBlock{.rope = rope_of(b, Pairing::Halves),
                                                    .head_norms = HeadNorms::Each,
                                                    .head_norm_biases = false};
                          },
                      .ffn =
                          [&](Value h, Value x) {
                              const std::int64_t width = b.hp().ffn(b.layer());
                              b.mark_ffn_input(h);
                              const Value u = b.product(h, {b.linear("ffn_up", h.cols, width)}, "up");
                              b.add_product(xielu(b, u), b.linear("ffn_down", width, x.cols), x);
                          }});
}

}  // namespace assay::model
