#include <cmath>

#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

std::int64_t divided(const Builder& b, std::string_view what, std::int64_t all, std::int64_t parts) {
    if (parts <= 0 || all % parts != 0)
        throw_error(ErrorKind::BadFile, b.where(), "{} {} are no multiple of {}", all, what, parts);
    return all / parts;
}

}  // namespace

DeltaSizes delta_sizes(const Builder& b) {
    const Hyperparameters& hp = b.hp();
    DeltaSizes sizes;
    sizes.key_dim = hp.required("ssm.state_size");
    sizes.n_key_heads = hp.required("ssm.group_count");
    sizes.n_heads = hp.required("ssm.time_step_rank");
    sizes.value_dim = divided(b, "columns of ssm.inner_size", hp.required("ssm.inner_size"), sizes.n_heads);
    sizes.kernel = hp.required("ssm.conv_kernel");
    divided(b, "value heads", sizes.n_heads, sizes.n_key_heads);
    return sizes;
}

Value delta_net(Builder& b, const DeltaInputs& in, const DeltaSizes& s, Norm l2, bool interleaved) {
    const std::int64_t keys = s.n_key_heads * s.key_dim, values = s.n_heads * s.value_dim;
    const Value mixed =
        b.emit(Convolve{in.qkv, b.vector("ssm_conv1d.weight", in.qkv.cols * s.kernel),
                        b.optional_vector("ssm_conv1d.bias", in.qkv.cols), s.kernel, Activation::Silu},
               in.qkv.cols, "mixed");
    Scan op;
    op.kind = ScanKind::Delta;
    op.q = b.normalise(mixed.columns(0, keys), l2, "q", s.n_key_heads);
    op.k = b.normalise(mixed.columns(keys, keys), l2, "k", s.n_key_heads);
    op.v = mixed.columns(2 * keys, values);
    op.decay = b.chain(in.alpha,
                       {plus(b.vector("ssm_dt.bias", s.n_heads)), apply(Activation::Softplus),
                        times(b.vector("ssm_a", s.n_heads)), apply(Activation::Exp)},
                       "decay");
    op.beta = b.chain(in.beta, {apply(Activation::Sigmoid)}, "beta");
    op.n_heads = s.n_heads;
    op.n_key_heads = s.n_key_heads;
    op.key_dim = s.key_dim;
    op.value_dim = s.value_dim;
    op.interleaved = interleaved;
    op.scale = 1.0f / std::sqrt(static_cast<float>(s.key_dim));
    const Value out = b.emit(std::move(op), values, "states");
    const Value normed = b.normalise(out, b.norm("ssm_norm", s.value_dim), "normed", s.n_heads);
    return b.chain(normed, {times(b.chain(in.gate, {apply(in.gate_function)}, "gate"))}, "gated");
}

namespace {

Value ssm_normed(Builder& b, Value x, const std::string& name, bool normalises) {
    const bool weighted = b.has(name) || b.tensors().has(b.name_of(name));
    if (!weighted && !normalises) return x;
    return b.normalise(x, weighted ? b.norm(name, x.cols) : b.plain_norm(NormKind::Rms), name);
}

}  // namespace

Value mamba(Builder& b, Value h, bool normalises) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t inner = hp.required("ssm.inner_size"), n_state = hp.required("ssm.state_size"),
                       rank = hp.required("ssm.time_step_rank"), kernel = hp.required("ssm.conv_kernel");
    const Value xz = b.product(h, {b.linear("ssm_in", h.cols, 2 * inner)}, "x z");
    const Value x = b.emit(Convolve{xz.columns(0, inner), b.vector("ssm_conv1d.weight", inner * kernel),
                                    b.optional_vector("ssm_conv1d.bias", inner), kernel, Activation::Silu},
                           inner, "mixed");
    const Value rates = b.product(x, {b.linear("ssm_x", inner, rank + 2 * n_state)}, "dt B C");
    const Value low = ssm_normed(b, rates.columns(0, rank), "ssm_dt_norm", normalises);
    const Value dt =
        b.chain(b.product(low, {b.linear("ssm_dt", rank, inner)}, "dt"), {apply(Activation::Softplus)}, "dt");
    SelectiveScan op;
    op.x = x;
    op.dt = dt;
    op.b = ssm_normed(b, rates.columns(rank, n_state), "ssm_b_norm", normalises);
    op.c = ssm_normed(b, rates.columns(rank + n_state, n_state), "ssm_c_norm", normalises);
    op.a = b.vector("ssm_a", inner * n_state);
    op.d = b.vector("ssm_d", inner);
    const Value states = b.emit(std::move(op), inner, "states");
    const Value gate = b.chain(xz.columns(inner, inner), {apply(Activation::Silu)}, "gate");
    return b.chain(states, {times(gate)}, "y");
}

void mamba2(Builder& b, Value h, Value residual, float branch_scale) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t inner = hp.required("ssm.inner_size"), n_state = hp.required("ssm.state_size"),
                       n_heads = hp.required("ssm.time_step_rank"), n_groups = hp.required("ssm.group_count"),
                       kernel = hp.required("ssm.conv_kernel");
    const std::int64_t head_dim = divided(b, "columns of ssm.inner_size", inner, n_heads);
    divided(b, "heads", n_heads, n_groups);
    const std::int64_t convolved = inner + 2 * n_groups * n_state;
    const Value v = b.product(h, {b.linear("ssm_in", h.cols, inner + convolved + n_heads)}, "z x B C dt");
    const Value mixed =
        b.emit(Convolve{v.columns(inner, convolved), b.vector("ssm_conv1d.weight", convolved * kernel),
                        b.optional_vector("ssm_conv1d.bias", convolved), kernel, Activation::Silu},
               convolved, "mixed");
    const Value x = mixed.columns(0, inner);
    const Value dt = b.chain(v.columns(inner + convolved, n_heads),
                             {plus(b.vector("ssm_dt.bias", n_heads)), apply(Activation::Softplus)}, "dt");
    Scan op;
    op.k = mixed.columns(inner, n_groups * n_state);
    op.q = mixed.columns(inner + n_groups * n_state, n_groups * n_state);
    op.v = b.chain(x, {times(dt)}, "x dt");
    op.decay = b.chain(dt, {times(b.vector("ssm_a", n_heads)), apply(Activation::Exp)}, "decay");
    op.n_heads = n_heads;
    op.n_key_heads = n_groups;
    op.key_dim = n_state;
    op.value_dim = head_dim;
    const Value states = b.emit(std::move(op), inner, "states");
    const Value direct = b.chain(x, {times(b.vector("ssm_d", n_heads))}, "direct");
    const Value gate = b.chain(v.columns(0, inner), {apply(Activation::Silu)}, "gate");
    Value y = b.chain(states, {plus(direct), times(gate)}, "y");
    if (b.has("ssm_norm")) y = b.normalise(y, b.norm("ssm_norm", inner), "y", n_groups);
    add_branch(b, y, b.linear("ssm_out", inner, residual.cols), residual, {{}, branch_scale});
}

void short_convolution(Builder& b, Value h, Value residual) {
    const std::int64_t kernel = b.hp().required("shortconv.l_cache"), width = h.cols;
    const Value z = b.product(h, {b.linear("shortconv.in_proj", width, 3 * width)}, "b c x");
    const Value v = b.chain(z.columns(0, width), {times(z.columns(2 * width, width))}, "b x");
    const Value mixed =
        b.emit(Convolve{v, b.vector("shortconv.conv.weight", width * kernel), {}, kernel}, width, "mixed");
    const Value y = b.chain(mixed, {times(z.columns(width, width))}, "y");
    b.add_product(y, b.linear("shortconv.out_proj", width, residual.cols), residual);
}

}  // namespace assay::model
