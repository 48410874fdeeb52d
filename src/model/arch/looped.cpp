// Decoders that run their layers several times: hrm_text (Wang et al. 2025), nanbeige.
#include "core/error.h"
#include "gguf/limits.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

void check_passes(const Builder& b, std::int64_t n) {
    if (n < 1 || n > gguf::limits::kLayers)
        throw_error(ErrorKind::BadFile, b.where(), "{} passes through layers, expected 1 to {}", n,
                    gguf::limits::kLayers);
}

/// A layer without norm weights.
void hrm_layer(Builder& b, Value x) {
    const Norm plain = b.plain_norm(NormKind::Rms);
    attention(b, b.normalise(x, plain, "h"), x,
              {.rope = rope_of(b, Pairing::Halves), .gate = Activation::Sigmoid});
    b.next_stage();
    ffn(b, b.normalise(x, plain, "h"), x, {});
}

}  // namespace

void build_hrm_text(Builder& b) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t n_stack = hp.required("hrm.layers_per_stack"), n_high = hp.required("hrm.h_cycles"),
                       n_low = hp.required("hrm.l_cycles");
    for (const std::int64_t n : {n_stack, n_high, n_low}) check_passes(b, n);
    check_passes(b, n_stack * n_high * (n_low + 1));
    b.use_norms(NormKind::Rms);
    const float scale = hp.number("embedding_scale", 0);
    const Norm plain = b.plain_norm(NormKind::Rms);
    Value high = b.embed(scale != 0 ? scale : 1);
    Value low = b.chain(high, {affine(0), plus(b.vector("hrm.z_l_init", b.hidden()))}, "low");
    const auto stack = [&](std::int64_t first) {
        const Value x = b.chain(high, {plus(low)}, "x");
        for (std::int64_t i = 0; i < n_stack; ++i) {
            b.begin_layer(x, first + i);
            hrm_layer(b, x);
        }
        return x;
    };
    for (std::int64_t i = 0; i < n_high; ++i) {
        for (std::int64_t j = 0; j < n_low; ++j) low = b.normalise(stack(0), plain, "low");
        const Value x = stack(n_stack);
        if (i + 1 == n_high) b.begin_head();
        high = b.normalise(x, plain, "high");
    }
    b.finish_normed(high);
}

void build_nanbeige(Builder& b) {
    const std::int64_t n_loops = b.hp().integer("num_loops").value_or(1);
    check_passes(b, b.hp().n_layers() * std::clamp<std::int64_t>(n_loops, 0, gguf::limits::kLayers + 1));
    const bool normed = !b.hp().flag("skip_loop_final_norm", false);
    b.use_norms(NormKind::Rms);
    const Norm between = b.norm("output_norm");
    Value x = b.embed();
    for (std::int64_t loop = 0; loop < n_loops; ++loop) {
        if (loop > 0 && normed) x = b.normalise(x, between, "x");
        for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
            b.begin_layer(x, i);
            attention(b, b.normalise(x, b.norm("attn_norm"), "h"), x,
                      {.rope = rope_of(b, Pairing::Adjacent), .scale = b.hp().number("attention.scale", 0)});
            b.next_stage();
            ffn(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {});
        }
    }
    b.finish(x);
}

}  // namespace assay::model
