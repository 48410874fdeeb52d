// minimax-01: lightning attention (Qin et al. 2024) in turn with softmax attention, experts everywhere. What
// a branch is added to is its normed input, scaled.
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

bool is_recurrent(const Builder& b) {
    const std::int64_t interval = b.hp().integer("full_attention_interval").value_or(8);
    const std::int64_t otherwise = interval > 0 && (b.layer() + 1) % interval == 0 ? 0 : 1;
    return b.hp().per_layer("attention.recurrent_layers", b.layer(), otherwise) != 0;
}

/// exp(-slope) of each head: slopes fall geometrically over heads and linearly over layers.
Vector decays(const Builder& b, std::int64_t n_heads) {
    constexpr double kLeast = 1e-5;
    const double ratio = std::exp2(-std::exp2(3 - std::log2(static_cast<double>(n_heads))));
    const auto last = static_cast<double>(std::max<std::int64_t>(1, b.hp().n_layers() - 1));
    const double scale = 1 - static_cast<double>(b.layer()) / last + kLeast;
    std::vector<float> factors;
    for (std::int64_t head = 0; head < n_heads; ++head)
        factors.push_back(
            static_cast<float>(std::exp(-scale * std::pow(ratio, static_cast<double>(head + 1)))));
    return Builder::constant(fmt::format("lightning.{}", b.layer()), std::move(factors));
}

Value lightning(Builder& b, Value h) {
    const std::int64_t n = b.hp().n_heads(b.layer()), dim = b.hp().head_dim(b.layer());
    const Value all = b.chain(b.product(h, {b.linear("attn_qkv", h.cols, 3 * n * dim)}, "q k v"),
                              {apply(Activation::Silu)}, "q k v");
    Scan op;
    op.q = b.heads(all, n, 0, dim, "q");
    op.k = b.heads(all, n, dim, dim, "k");
    op.v = b.heads(all, n, 2 * dim, dim, "v");
    op.constant_decay = decays(b, n);
    op.n_heads = op.n_key_heads = n;
    op.key_dim = op.value_dim = dim;
    const Value states = b.emit(std::move(op), n * dim, "states");
    const Value normed = b.normalise(states, b.norm("attn_norm_2", n * dim), "normed");
    return gated_heads(b, h, normed, n, Activation::Sigmoid);
}

}  // namespace

void build_minimax_01(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = b.embed();
    const float scale = b.hp().number("residual_scale", 1);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        const Value h = b.normalise(x, b.norm("attn_norm"), "h");
        const Value out =
            is_recurrent(b) ? lightning(b, h) : attended(b, h, {.rope = rope_of(b, Pairing::Halves)});
        b.emit_into(Chain{h, {affine(scale)}}, x);
        b.add_product(out, b.linear("attn_output", out.cols, x.cols), x);
        b.next_stage();
        const Value h2 = b.normalise(x, b.norm("ffn_norm"), "h");
        b.emit_into(Chain{h2, {affine(scale)}}, x);
        moe(b, h2, x,
            {.router = router_of(b, {.normalise = true, .reads_gating = false}), .width = b.hp().ffn(i)});
    }
    b.finish(x);
}

}  // namespace assay::model
