#include <cmath>

#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

/// Sizes of one layer's heads.
struct Heads {
    std::int64_t n, n_kv, dim, value_dim;

    std::int64_t q() const { return n * dim; }
    std::int64_t k() const { return n_kv * dim; }
    std::int64_t v() const { return n_kv * value_dim; }
};

Heads heads_of(const Builder& b, const AttentionBlock& block) {
    const Hyperparameters& hp = b.hp();
    const auto either = [](std::int64_t own, auto otherwise) { return own > 0 ? own : otherwise(); };
    return {either(block.n_heads, [&] { return hp.n_heads(b.layer()); }),
            either(block.n_kv_heads, [&] { return hp.n_kv_heads(b.layer()); }),
            either(block.head_dim, [&] { return hp.head_dim(b.layer()); }),
            either(block.value_dim, [&] { return hp.value_dim(b.layer()); })};
}

std::vector<Linear> projections(Builder& b, Value h, const Heads& heads, bool biases) {
    std::vector<Linear> linears;
    if (b.has("attn_qkv"))
        linears = {b.linear("attn_qkv", h.cols, heads.q() + heads.k() + heads.v())};
    else
        linears = {b.linear("attn_q", h.cols, heads.q()), b.linear("attn_k", h.cols, heads.k()),
                   b.linear("attn_v", h.cols, heads.v())};
    if (!biases)
        for (Linear& linear : linears) linear.bias = {};
    return linears;
}

Norm head_norm(Builder& b, std::string_view name, std::int64_t dim, std::int64_t n_heads,
               const AttentionBlock& block) {
    if (block.plain_head_norms) return b.plain_norm(NormKind::Rms);
    if (block.head_norms == HeadNorms::None) return {};
    if (block.head_norms == HeadNorms::Full) return b.norm(name, n_heads * dim);
    const gguf::Tensor& tensor = b.tensors().file().get(b.name_of(name) + ".weight");
    const bool own = n_heads > 1 && tensor.elements() == static_cast<std::uint64_t>(n_heads * dim);
    Norm norm = b.norm(name, own ? n_heads * dim : dim);
    if (block.head_layer_norm_eps > 0) {
        norm.kind = NormKind::Layer;
        norm.eps = block.head_layer_norm_eps;
    }
    if (!block.head_norm_biases) norm.bias = {};
    return norm;
}

}  // namespace

Value gated_heads(Builder& b, Value h, Value out, std::int64_t n_heads, Activation activation) {
    const gguf::Tensor& tensor = b.tensors().file().get(b.name_of("attn_gate") + ".weight");
    const bool by_head = tensor.elements() == static_cast<std::uint64_t>(h.cols * n_heads);
    const Value gate = b.product(h, {b.linear("attn_gate", h.cols, by_head ? n_heads : out.cols)}, "gate");
    return b.chain(out, {times(b.chain(gate, {apply(activation)}, "gate"))}, "gated");
}

Vector alibi_slopes(std::int64_t n_heads, float max_bias) {
    std::vector<float> slopes;
    const double n = std::exp2(std::floor(std::log2(static_cast<double>(n_heads))));
    for (std::int64_t h = 0; h < n_heads; ++h) {
        const auto i = static_cast<double>(h);
        const double exponent = i < n ? -max_bias * (i + 1) / n : -(max_bias / 2.0) * (2 * (i - n) + 1) / n;
        slopes.push_back(static_cast<float>(std::exp2(exponent)));
    }
    return Builder::constant(fmt::format("alibi.{}.{}", n_heads, max_bias), std::move(slopes));
}

Vector query_temperature(const Builder& b, float scale, std::int64_t length, std::int64_t offset) {
    if (length <= 0)
        throw_error(ErrorKind::BadFile, b.where(),
                    "queries change every {} positions, expected a positive number", length);
    offset += b.first_position();
    std::vector<float> factors;
    for (std::int64_t p = 0; p < b.n_rows(); ++p)
        factors.push_back(1 + scale * std::log(static_cast<float>((p + offset) / length) + 1));
    return Builder::constant(fmt::format("temperature.{}.{}.{}", scale, length, offset), std::move(factors));
}

void turn_heads(Builder& b, Value heads, std::string_view norm_name, const AttentionBlock& block) {
    const std::int64_t dim = heads_of(b, block).dim, n_heads = heads.cols / dim;
    const Norm norm = head_norm(b, norm_name, dim, n_heads, block);
    const bool full = block.head_norms == HeadNorms::Full;
    if (full) b.emit_into(TurnHeads{.n_heads = 1, .norm = norm}, heads);
    if (!full || block.rope.n_rot() > 0)
        b.emit_into(TurnHeads{n_heads, full ? Norm{} : norm, block.norm_last, block.rope}, heads);
}

Value attended(Builder& b, Value q, Value k, Value v, const AttentionBlock& block) {
    turn_heads(b, q, "attn_q_norm", block);
    turn_heads(b, k, "attn_k_norm", block);
    return attended_turned(b, q, k, v, block);
}

Value attended_turned(Builder& b, Value q, Value k, Value v, const AttentionBlock& block) {
    const Heads heads = heads_of(b, block);
    Attend op;
    op.q = q;
    op.k = k;
    op.v = v;
    op.n_heads = heads.n;
    op.n_kv_heads = heads.n_kv;
    op.head_dim = heads.dim;
    op.value_dim = heads.value_dim;
    op.scale = block.scale != 0 ? block.scale : 1.0f / std::sqrt(static_cast<float>(heads.dim));
    op.soft_cap = block.soft_cap;
    op.causal = block.causal ? *block.causal : b.hp().flag("attention.causal", true);
    op.window = block.window;
    op.window_kind = block.window_kind;
    op.query_scale = block.query_scale;
    op.chosen = block.chosen;
    op.chosen_tokens = block.chosen_tokens;
    op.sinks = b.optional_vector("attn_sinks.weight", heads.n);
    if (block.max_alibi_bias > 0) op.slopes = alibi_slopes(heads.n, block.max_alibi_bias);
    return b.emit(std::move(op), heads.n * heads.value_dim, "attended");
}

Value attended(Builder& b, Value h, const AttentionBlock& block) {
    const Heads heads = heads_of(b, block);
    Value qkv = b.product(h, projections(b, h, heads, block.input_biases), "qkv");
    if (block.clamp > 0) qkv = b.chain(qkv, {clamp(-block.clamp, block.clamp)}, "qkv");
    Value out = attended(b, qkv.columns(0, heads.q()), qkv.columns(heads.q(), heads.k()),
                         qkv.columns(heads.q() + heads.k(), heads.v()), block);
    if (block.gate != Activation::Identity) out = gated_heads(b, h, out, heads.n, block.gate);
    if (!block.sub_norm.empty()) out = b.normalise(out, b.norm(block.sub_norm, out.cols), "attended");
    return out;
}

void attention(Builder& b, Value h, Value residual, const AttentionBlock& block) {
    const Value out = attended(b, h, block);
    Linear output = b.linear("attn_output", out.cols, residual.cols);
    if (!block.output_bias) output.bias = {};
    add_branch(b, out, std::move(output), residual, {block.post_norm, block.branch_scale});
}

}  // namespace assay::model
