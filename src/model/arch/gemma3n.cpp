// gemma3n: four streams of which a layer computes one and corrects the others (AltUp: Baykal et al. 2023), a
// low-rank branch beside attention (LAuReL: Menghani et al. 2024), sparse feed-forwards, embeddings for each
// layer, keys and values that the last layers take from earlier ones.
#include <array>
#include <cmath>

#include "model/arch/architectures.h"

namespace assay::model {

namespace {

constexpr std::int64_t kStreams = 4;
constexpr std::int64_t kOwnWidth = 256;  // of each layer's embeddings
constexpr std::int64_t kLaurelRank = 64;
constexpr std::int64_t kOwningLayers = 20;  // have keys and values of their own
constexpr std::int64_t kSparseLayers = 10;
constexpr float kSparseDeviations = 1.6448533535003662f;  // 95 in 100 of a normal distribution are below
constexpr float kLogitSoftCap = 30;

Norm length_norm() { return {NormKind::L2, {}, {}, 0}; }

/// The other streams, each as long as x.
Value rescaled(Builder& b, Value streams, Value x) {
    const Value length = b.emit(Reduce{Reduction::Length, x, 1}, 1, "length");
    return b.chain(b.normalise(streams, length_norm(), "directions", kStreams - 1), {times(length)},
                   "streams");
}

Value start_streams(Builder& b, Value x) {
    const std::int64_t n_others = kStreams - 1;
    const Value repeated = b.declare(n_others * x.cols, "repeated");
    b.emit_into(CopyHeads{x, n_others, 0, x.cols, 0, true}, repeated);
    const Value others =
        b.emit(Product{repeated, {b.linear("altup_proj", x.cols, x.cols, n_others)}, n_others}, repeated.cols,
               "others");
    const Value streams = b.declare(kStreams * x.cols, "streams");
    b.emit_into(CopyHeads{x, 1, 0, x.cols}, streams.columns(0, x.cols));
    b.emit_into(CopyHeads{rescaled(b, others, x), 1, 0, others.cols}, streams.columns(x.cols, others.cols));
    return streams;
}

Value end_streams(Builder& b, Value streams, std::int64_t hidden) {
    const std::int64_t n_others = kStreams - 1;
    const Value x = streams.columns(0, hidden), others = streams.columns(hidden, n_others * hidden);
    const Value made =
        b.emit(Product{others, {b.linear("altup_unembd_proj", hidden, hidden, n_others)}, n_others},
               others.cols, "made");
    const Value same = rescaled(b, made, x);
    std::vector<Link> links;
    for (std::int64_t j = 0; j < n_others; ++j) links.push_back(plus(same.columns(j * hidden, hidden)));
    links.push_back(affine(1.0f / kStreams));
    return b.chain(x, std::move(links), "x");
}

/// [kStreams] what a stream says about all.
Value modalities(Builder& b, Value y) {
    const Value normed = b.normalise(y, b.norm("altup_router_norm"), "router input");
    const Value input = b.chain(normed, {affine(1.0f / static_cast<float>(y.cols))}, "router input");
    const Value made = b.precise_product(input, b.linear("altup_router", y.cols, kStreams), "modalities");
    return b.chain(made, {apply(Activation::Tanh)}, "modalities");
}

Value coefficients(Builder& b, Value y, std::string_view name, std::int64_t n) {
    return b.precise_product(modalities(b, y), b.linear(name, kStreams, n), "coefficients");
}

/// streams + mixed streams
Value predicted(Builder& b, Value streams, std::int64_t hidden) {
    std::vector<float> identity(static_cast<std::size_t>(kStreams * kStreams), 0.0f);
    for (std::size_t i = 0; i < kStreams; ++i) identity[i * kStreams + i] = 1;
    const Value mixed =
        b.chain(coefficients(b, streams.columns(0, hidden), "altup_predict_coef", kStreams * kStreams),
                {plus(Builder::constant("identity.4", std::move(identity)))}, "coefficients");
    return b.emit(Mix{streams, mixed, kStreams, kStreams}, streams.cols, "predicted");
}

AttentionBlock attention_of(Builder& b, const Windows& windows) {
    const bool windowed = windows.windowed(b.layer());
    return {.rope = make_rope(
                b, b.hp().head_dim(b.layer()),
                {.pairing = Pairing::Halves,
                 .base = windowed ? static_cast<double>(b.hp().number("rope.freq_base_swa", 10000)) : 0,
                 .scaled = !windowed,
                 .factors = false}),
            .head_norms = HeadNorms::Each,
            .scale = 1,
            .window = windows.of(b.layer()),
            .post_norm = b.norm("post_attention_norm")};
}

struct KeysValues {
    Value k{}, v{};
};

KeysValues keys_values(Builder& b, Value h, const AttentionBlock& block) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t n = hp.n_kv_heads(b.layer());
    const std::int64_t k = n * hp.head_dim(b.layer()), v = n * hp.value_dim(b.layer());
    const Value kv = b.product(h, {b.linear("attn_k", h.cols, k), b.linear("attn_v", h.cols, v)}, "k v");
    turn_heads(b, kv.columns(0, k), "attn_k_norm", block);
    b.emit_into(TurnHeads{.n_heads = n, .norm = b.plain_norm(NormKind::Rms)}, kv.columns(k, v));
    return {kv.columns(0, k), kv.columns(k, v)};
}

/// (x + attention + laurel) / sqrt(2), where h is the norm of x.
Value attention_laurel(Builder& b, Value x, const AttentionBlock& block, KeysValues& shared) {
    const Value h = b.normalise(x, b.norm("attn_norm"), "h");
    const Value low = b.product(h, {b.linear("laurel_l", h.cols, kLaurelRank)}, "laurel");
    const Value laurel = b.normalise(b.product(low, {b.linear("laurel_r", kLaurelRank, h.cols)}, "laurel"),
                                     b.norm("laurel_post_norm"), "laurel");
    const bool owns = b.layer() < kOwningLayers;
    if (owns) shared = keys_values(b, h, block);
    Linear query = b.linear("attn_q", h.cols, b.hp().n_heads(b.layer()) * b.hp().head_dim(b.layer()));
    if (!owns) query.bias = {};
    const Value q = b.product(h, {std::move(query)}, "q");
    turn_heads(b, q, "attn_q_norm", block);
    const Value out = attended_turned(b, q, shared.k, shared.v, block);
    const Value y = b.chain(x, {plus(h), plus(laurel)}, "y");
    add_branch(b, out, b.linear("attn_output", out.cols, x.cols), y, {.post_norm = block.post_norm});
    return b.chain(y, {affine(std::sqrt(0.5f))}, "y");
}

/// What enters ffn_down: in the first layers only gates that stand out of their row count.
Value inner_of(Builder& b, Value h) {
    if (b.layer() >= kSparseLayers) return ffn_inner(b, h, {.function = {.activation = Activation::Gelu}});
    const std::int64_t width = b.hp().ffn(b.layer());
    b.mark_ffn_input(h);
    const Value both =
        b.product(h, {b.linear("ffn_gate", h.cols, width), b.linear("ffn_up", h.cols, width)}, "gate up");
    const Value gate = both.columns(0, width);
    const Value mean = b.emit(Reduce{Reduction::Mean, gate, 1}, 1, "mean");
    const Value deviation = b.emit(Reduce{Reduction::Deviation, gate, 1}, 1, "deviation");
    const Value cutoff = b.chain(deviation, {affine(kSparseDeviations), plus(mean)}, "cutoff");
    return b.chain(
        gate,
        {minus(cutoff), apply(Activation::Relu), apply(Activation::Gelu), times(both.columns(width, width))},
        "inner");
}

/// All streams move with what the layer made of the first.
void correct(Builder& b, Value streams, Value z) {
    const Value change = b.chain(z, {minus(streams.columns(0, z.cols))}, "change");
    const Value shares =
        b.chain(coefficients(b, z, "altup_correct_coef", kStreams), {affine(1, 1)}, "shares");
    b.emit_into(Mix{change, shares, 1, kStreams, true}, streams);
}

}  // namespace

void build_gemma3n(Builder& b) {
    b.use_norms(NormKind::Rms);
    const std::int64_t hidden = b.hidden();
    const Windows windows(b, {.period = 5});
    const Value x = b.embed(std::sqrt(static_cast<float>(hidden)));
    const Value own = layer_embeddings(b, x, kOwnWidth);
    Value streams = start_streams(b, x);
    std::array<KeysValues, 2> last;  // of full and of windowed layers
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(streams);
        streams = predicted(b, streams, hidden);
        b.leave_layer(streams);
        const Value y = attention_laurel(b, streams.columns(0, hidden), attention_of(b, windows),
                                         last[windows.windowed(i) ? 1 : 0]);
        b.next_stage();
        const Value inner = inner_of(b, b.normalise(y, b.norm("ffn_norm"), "h"));
        add_branch(b, inner, b.linear("ffn_down", inner.cols, hidden), y,
                   {.post_norm = b.norm("post_ffw_norm")});
        correct(b, streams, y);
        const Value first = b.chain(streams.columns(0, hidden),
                                    {times(b.vector("altup_correct_scale.weight", hidden))}, "corrected");
        const Value branch = layer_embedding(b, first, own.columns(i * kOwnWidth, kOwnWidth));
        for (std::int64_t j = 1; j < kStreams; ++j)
            b.add(branch, b.norm("post_norm"), 1, streams.columns(j * hidden, hidden));
    }
    b.begin_head();
    b.finish(end_streams(b, streams, hidden));
    b.scale_logits(1, kLogitSoftCap);
}

}  // namespace assay::model
