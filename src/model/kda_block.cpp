#include <cmath>

#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

/// Readers of these files leave out biases that some have.
Linear without_bias(Linear linear) {
    linear.bias = {};
    return linear;
}

Value convolved(Builder& b, Value x, const std::string& name) {
    const std::int64_t kernel = b.hp().required("ssm.conv_kernel");
    return b.emit(Convolve{x, b.vector(name + ".weight", x.cols * kernel), {}, kernel, Activation::Silu},
                  x.cols, "mixed");
}

/// <name>, or <name>_b <name>_a, or <name>_a alone.
Value low_rank(Builder& b, Value h, const std::string& name, std::int64_t rank, std::int64_t n_out) {
    if (b.has(name)) return b.product(h, {b.linear(name, h.cols, n_out)}, name);
    if (!b.has(name + "_b")) return b.product(h, {b.linear(name + "_a", h.cols, n_out)}, name);
    const Value low = b.product(h, {b.linear(name + "_a", h.cols, rank)}, name);
    return b.product(low, {b.linear(name + "_b", rank, n_out)}, name);
}

Value decay(Builder& b, Value f, std::int64_t n_heads, const KdaBlock& block) {
    const Link bias = plus(b.vector("ssm_dt.bias", f.cols)), rate = times(b.vector("ssm_a", n_heads));
    if (block.lower_bound == 0)
        return b.chain(f, {bias, apply(Activation::Softplus), rate, apply(Activation::Exp)}, "decay");
    return b.chain(f,
                   {bias, rate, affine(block.positive_rates ? 1 : -1), apply(Activation::Sigmoid),
                    affine(block.lower_bound), apply(Activation::Exp)},
                   "decay");
}

}  // namespace

Value kda_gated(Builder& b, Value h, const KdaBlock& block) {
    // Layers of this kind may say 0 heads; the first layer says how many there are.
    const std::int64_t n_heads = b.hp().n_heads(0), dim = b.hp().required("kda.head_dim"),
                       width = n_heads * dim;
    const Value qkv = b.product(
        h,
        {without_bias(b.linear("attn_q", h.cols, width)), without_bias(b.linear("attn_k", h.cols, width)),
         without_bias(b.linear("attn_v", h.cols, width))},
        "q k v");
    Norm l2 = b.plain_norm(block.l2);
    if (block.l2_eps > 0) l2.eps = block.l2_eps;
    Scan op;
    op.kind = ScanKind::Delta;
    op.q = b.normalise(convolved(b, qkv.columns(0, width), "ssm_conv1d_q"), l2, "q", n_heads);
    op.k = b.normalise(convolved(b, qkv.columns(width, width), "ssm_conv1d_k"), l2, "k", n_heads);
    op.v = convolved(b, qkv.columns(2 * width, width), "ssm_conv1d_v");
    op.decay = decay(b, low_rank(b, h, "ssm_f", dim, width), n_heads, block);
    op.beta = b.chain(b.product(h, {b.linear("ssm_beta", h.cols, n_heads)}, "beta"),
                      {apply(Activation::Sigmoid)}, "beta");
    op.n_heads = op.n_key_heads = n_heads;
    op.key_dim = op.value_dim = dim;
    op.scale = 1.0f / std::sqrt(static_cast<float>(dim));
    const Value states = b.emit(std::move(op), width, "states");
    const Value normed = b.normalise(states, b.norm("ssm_norm", dim), "normed", n_heads);
    const Value gate = b.chain(low_rank(b, h, "ssm_g", dim, width), {apply(Activation::Sigmoid)}, "gate");
    return b.chain(normed, {times(gate)}, "gated");
}

void kda(Builder& b, Value h, Value residual, const KdaBlock& block) {
    const Value out = kda_gated(b, h, block);
    b.add_product(out, b.linear("attn_output", out.cols, residual.cols), residual);
}

}  // namespace assay::model
