#include <cmath>

#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

namespace {

constexpr float kGroupEps = 64e-5f;

Link before(Value value) {
    Link link = plus(value);
    link.previous = true;
    return link;
}

Link tiled(Link link) {
    link.tiled = true;
    return link;
}

std::int64_t n_heads(const Builder& b, std::int64_t head_size) {
    if (b.hidden() % head_size != 0)
        throw_error(ErrorKind::BadFile, b.where(), "{} columns are no multiple of {} {}", b.hidden(),
                    b.hp().key("wkv.head_size"), head_size);
    return b.hidden() / head_size;
}

Vector weight(Builder& b, const std::string& name, std::int64_t size) {
    return b.vector(name + ".weight", size);
}

/// second activation(first x)
Value low_rank(Builder& b, Value x, const std::string& first, const std::string& second, std::int64_t rank,
               Activation activation) {
    Value low = b.product(x, {b.linear(first, x.cols, rank)}, first);
    if (activation != Activation::Identity) low = b.chain(low, {apply(activation)}, first);
    return b.product(low, {b.linear(second, rank, b.hidden())}, second);
}

/// Heads normalised by themselves, weights over all.
Value group_norm(Builder& b, Value x, std::int64_t heads) {
    Norm norm = b.norm("time_mix_ln", x.cols);
    norm.kind = NormKind::Layer;
    norm.eps = kGroupEps;
    return b.normalise(x, norm, "normed", heads);
}

/// The head's copies stand side by side.
Value repeated(Builder& b, Value x, std::int64_t heads, std::int64_t copies, std::int64_t size) {
    if (copies == 1) return x;
    const Value out = b.declare(heads * copies * size, "repeated");
    for (std::int64_t i = 0; i < copies; ++i) b.emit_into(CopyHeads{x, heads, 0, size, i * size}, out);
    return out;
}

/// x + (previous x - x) * (lerp + low-rank function of the same), in the order w, k, v, r, g.
Value mixed_inputs(Builder& b, Value h) {
    constexpr std::int64_t kInputs = 5;
    const std::int64_t cols = h.cols, rank = b.hp().required("time_mix_extra_dim");
    const Value shift = token_shift(b, h);
    const Value start = b.chain(shift, {times(weight(b, "time_mix_lerp_x", cols)), plus(h)}, "xxx");
    const Value low = b.chain(b.product(start, {b.linear("time_mix_w1", cols, kInputs * rank)}, "xxx"),
                              {apply(Activation::Tanh)}, "xxx");
    const Value lerp =
        b.emit(Product{low, {b.linear("time_mix_w2", rank, cols, kInputs)}, kInputs}, kInputs * cols, "lerp");
    if (b.has("time_mix_lerp_fused"))
        return b.chain(
            lerp,
            {plus(weight(b, "time_mix_lerp_fused", kInputs * cols)), tiled(times(shift)), tiled(plus(h))},
            "xw xk xv xr xg");
    const Value all = b.declare(kInputs * cols, "xw xk xv xr xg");
    std::int64_t first = 0;
    for (const char* name : {"w", "k", "v", "r", "g"}) {
        b.emit_into(
            Chain{lerp.columns(first, cols),
                  {plus(weight(b, fmt::format("time_mix_lerp_{}", name), cols)), times(shift), plus(h)}},
            all.columns(first, cols));
        first += cols;
    }
    return all;
}

}  // namespace

Value token_shift(Builder& b, Value h) { return b.chain(h, {affine(-1), before(h)}, "shift"); }

void rwkv6_time_mix(Builder& b, Value h, Value residual) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t cols = h.cols, size = hp.required("wkv.head_size"), heads = n_heads(b, size);
    const bool bonus = b.has("time_mix_first");
    const std::int64_t key_count = hp.per_layer("attention.head_count_kv", b.layer(), 0);
    const std::int64_t key_heads = key_count > 0 ? key_count : heads;
    if (heads % key_heads != 0)
        throw_error(ErrorKind::BadFile, b.where(), "{} heads are no multiple of {} key heads", heads,
                    key_heads);
    const Value all = mixed_inputs(b, h);
    const auto input = [&](std::int64_t i) { return all.columns(i * cols, cols); };
    Scan op;
    op.q = b.product(input(3), {b.linear("time_mix_receptance", cols, cols)}, "r");
    op.k = repeated(b, b.product(input(1), {b.linear("time_mix_key", cols, key_heads * size)}, "k"),
                    key_heads, heads / key_heads, size);
    op.v = repeated(b, b.product(input(2), {b.linear("time_mix_value", cols, key_heads * size)}, "v"),
                    key_heads, heads / key_heads, size);
    const Value gate = b.chain(b.product(input(4), {b.linear("time_mix_gate", cols, cols)}, "gate"),
                               {apply(bonus ? Activation::Silu : Activation::Sigmoid)}, "gate");
    op.decay = b.chain(
        low_rank(b, input(0), "time_mix_decay_w1", "time_mix_decay_w2", hp.required("time_decay_extra_dim"),
                 Activation::Tanh),
        {plus(weight(b, "time_mix_decay", cols)), apply(Activation::Exp), affine(-1), apply(Activation::Exp)},
        "decay");
    op.n_heads = op.n_key_heads = heads;
    op.key_dim = op.value_dim = size;
    if (bonus) {
        op.kind = ScanKind::Bonus;
        op.bonus = weight(b, "time_mix_first", cols);
    } else {
        op.k = b.chain(op.k, {times(b.chain(op.decay, {affine(-1, 1)}, "1 - w"))}, "k");
        op.scale = 1.0f / std::sqrt(static_cast<float>(size));
    }
    Value out = b.emit(std::move(op), cols, "states");
    if (bonus) out = group_norm(b, out, heads);
    b.add_product(b.chain(out, {times(gate)}, "gated"), b.linear("time_mix_output", cols, residual.cols),
                  residual);
}

void rwkv7_time_mix(Builder& b, Value h, Value residual, Value& first_value) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t cols = h.cols, size = hp.required("wkv.head_size"), heads = n_heads(b, size);
    const bool gated = b.has("time_mix_g1") && b.has("time_mix_g2");
    const std::int64_t n_inputs = gated ? 6 : 5;
    const Value shifts = b.declare(n_inputs * cols, "shifts");
    b.emit_into(CopyHeads{token_shift(b, h), n_inputs, 0, cols, 0, true}, shifts);
    const Value all =
        b.chain(shifts, {times(weight(b, "time_mix_lerp_fused", n_inputs * cols)), tiled(plus(h))},
                "xr xw xk xv xa xg");
    const auto input = [&](std::int64_t i) { return all.columns(i * cols, cols); };
    const Value r = b.product(input(0), {b.linear("time_mix_receptance", cols, cols)}, "r");
    constexpr float kDecay = -0.606531f;  // -exp(-1/2)
    const Value w = b.chain(low_rank(b, input(1), "time_mix_w1", "time_mix_w2",
                                     hp.required("attention.decay_lora_rank"), Activation::Tanh),
                            {plus(weight(b, "time_mix_w0", cols)), apply(Activation::Sigmoid), affine(kDecay),
                             apply(Activation::Exp)},
                            "decay");
    const Value key = b.product(input(2), {b.linear("time_mix_key", cols, cols)}, "k");
    Value v = b.product(input(3), {b.linear("time_mix_value", cols, cols)}, "v");
    if (!first_value.present()) {
        first_value = v;
    } else {
        const Value share =
            b.chain(low_rank(b, input(3), "time_mix_v1", "time_mix_v2",
                             hp.required("attention.value_residual_mix_lora_rank"), Activation::Identity),
                    {plus(weight(b, "time_mix_v0", cols)), apply(Activation::Sigmoid)}, "share");
        v = b.chain(first_value, {minus(v), times(share), plus(v)}, "v");
    }
    const Value a = b.chain(low_rank(b, input(4), "time_mix_a1", "time_mix_a2",
                                     hp.required("attention.iclr_lora_rank"), Activation::Identity),
                            {plus(weight(b, "time_mix_a0", cols)), apply(Activation::Sigmoid)}, "a");
    constexpr float kLengthEps = 1e-12f;
    const Value kk = b.normalise(b.chain(key, {times(weight(b, "time_mix_k_k", cols))}, "kk"),
                                 {NormKind::L2Max, {}, {}, kLengthEps}, "kk", heads);
    const Value ka = b.chain(key, {times(weight(b, "time_mix_k_a", cols))}, "ka");
    const Value k = b.chain(a, {times(ka), minus(ka), plus(key)}, "k");
    Scan op;
    op.kind = ScanKind::Rank1;
    op.q = r;
    op.k = k;
    op.v = v;
    op.decay = w;
    op.a = b.chain(kk, {affine(-1)}, "-kk");
    op.b = b.chain(kk, {times(a)}, "kk a");
    op.n_heads = op.n_key_heads = heads;
    op.key_dim = op.value_dim = size;
    Value out = b.emit(std::move(op), cols, "states");
    if (b.has("time_mix_ln")) out = group_norm(b, out, heads);
    const Value weighed = b.chain(k, {times(r), times(weight(b, "time_mix_r_k", cols))}, "k r");
    const Value sums = b.emit(Reduce{Reduction::Sum, weighed, heads}, heads, "sums");
    out = b.chain(out, {plus(b.chain(v, {times(sums)}, "direct"))}, "out");
    if (gated) {
        const Value gate = low_rank(b, input(5), "time_mix_g1", "time_mix_g2",
                                    hp.required("attention.gate_lora_rank"), Activation::Sigmoid);
        out = b.chain(out, {times(gate)}, "gated");
    }
    b.add_product(out, b.linear("time_mix_output", cols, residual.cols), residual);
}

void channel_mix(Builder& b, Value h, Value residual) {
    const std::int64_t cols = h.cols, width = b.hp().ffn(b.layer());
    const Value shift = token_shift(b, h);
    const auto mixed = [&](const std::string& name) {
        return b.chain(shift, {times(weight(b, name, cols)), plus(h)}, "mixed");
    };
    const Value xk = mixed("channel_mix_lerp_k");
    b.mark_ffn_input(xk);
    const Value inner = b.chain(b.product(xk, {b.linear("channel_mix_key", cols, width)}, "key"),
                                {apply(Activation::Relu2)}, "inner");
    const Linear down = b.linear("channel_mix_value", width, residual.cols);
    if (!b.has("channel_mix_receptance")) return b.add_product(inner, down, residual);
    const Value gate = b.chain(b.product(mixed("channel_mix_lerp_r"),
                                         {b.linear("channel_mix_receptance", cols, residual.cols)}, "r"),
                               {apply(Activation::Sigmoid)}, "gate");
    b.add(b.chain(b.product(inner, {down}, "value"), {times(gate)}, "gated"), {}, 1, residual);
}

}  // namespace assay::model
