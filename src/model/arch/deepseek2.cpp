// deepseek2 (V2, V3, R1, Kimi-K2, GLM-4.7-Flash) and mistral4: latent attention, routed and shared experts.
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// Files store 0.1 times the multiplier.
double log_multiplier(const Builder& b) { return b.hp().number("rope.scaling.yarn_log_multiplier", 0) / 0.1; }

double yarn_factor(const Builder& b) {
    const bool yarn = b.hp().metadata().find_string(b.hp().key("rope.scaling.type")).value_or("") == "yarn";
    return yarn ? b.hp().number("rope.scaling.factor", 1) : 1;
}

void build_latent(Builder& b, double log_numerator) {
    b.use_norms(NormKind::Rms);
    const auto layer = [&](Value x) {
        mla(b, b.normalise(x, b.norm("attn_norm"), "h"), x, deepseek_attention(b, log_numerator));
        b.next_stage();
        dense_lead(b, b.normalise(x, b.norm("ffn_norm"), "h"), x, {});
    };
    const Value x = b.embed();
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        layer(x);
    }
    b.finish(x);
    nextn_blocks(b, x, {.layer = layer});
}

}  // namespace

MlaBlock deepseek_attention(Builder& b, double log_numerator) {
    MlaBlock block;
    const double multiplier = log_multiplier(b);
    block.rope = make_rope(b, b.hp().required("rope.dimension_count"),
                           {.log_multiplier = multiplier, .log_numerator = log_numerator});
    const std::int64_t head_dim =
        b.hp().integer("attention.key_length_mla").value_or(b.hp().head_dim(b.layer()));
    block.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    if (const double factor = yarn_factor(b); factor > 1) {
        // The magnitude of the rotation, but of all components.
        const double mu = block.rope.magnitude * (1 + 0.1 * multiplier * std::log(factor));
        block.scale *= static_cast<float>(mu * mu);
    }
    if (const float temperature = b.hp().number("attention.temperature_scale", 0); temperature != 0)
        block.query_scale =
            query_temperature(b, temperature, b.hp().required("attention.temperature_length"));
    return block;
}

MlaBlock deepseek_attention(Builder& b) {
    const double multiplier = log_multiplier(b);
    return deepseek_attention(b, multiplier != 0 ? multiplier : 1);
}

void build_deepseek2(Builder& b) {
    const double multiplier = log_multiplier(b);
    build_latent(b, multiplier != 0 ? multiplier : 1);
}

void build_mistral4(Builder& b) { build_latent(b, 1); }

}  // namespace assay::model
