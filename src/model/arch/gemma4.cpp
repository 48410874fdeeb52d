// gemma4: two kinds of layers with heads of their own size, keys and values that the last layers take from
// earlier ones, experts beside the dense feed-forward, embeddings for each layer.
#include <array>
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// Normalised and turned.
struct KeysValues {
    Value k{}, v{};
};

constexpr GateFunction kGelu{.activation = Activation::Gelu};

AttentionBlock attention_of(Builder& b, const Windows& windows) {
    const Hyperparameters& hp = b.hp();
    const bool windowed = windows.windowed(b.layer());
    AttentionBlock block;
    block.head_dim = windowed ? hp.required("attention.key_length_swa") : hp.required("attention.key_length");
    block.value_dim = windowed ? hp.integer("attention.value_length_swa").value_or(block.head_dim)
                               : hp.integer("attention.value_length").value_or(block.head_dim);
    if (block.value_dim != block.head_dim)
        throw_error(ErrorKind::Unsupported, b.where(), "heads of {} with values of {}, expected equal widths",
                    block.head_dim, block.value_dim);
    block.rope =
        make_rope(b, block.head_dim,
                  {.pairing = Pairing::Halves,
                   .base = windowed ? static_cast<double>(hp.number("rope.freq_base_swa", 10000)) : 0,
                   .scaled = !windowed,
                   .n_rot = windowed ? hp.integer("rope.dimension_count_swa").value_or(block.head_dim) : 0,
                   .factors = !windowed});
    block.head_norms = HeadNorms::Each;
    block.scale = 1;
    block.window = windows.of(b.layer());
    block.post_norm = b.norm("post_attention_norm");
    return block;
}

/// Files without attn_v take the keys, before their norm, as values.
KeysValues keys_values(Builder& b, Value h, const AttentionBlock& block) {
    const std::int64_t n = b.hp().n_kv_heads(b.layer()), cols = n * block.head_dim;
    std::vector<Linear> linears{b.linear("attn_k", h.cols, cols)};
    if (b.has("attn_v")) linears.push_back(b.linear("attn_v", h.cols, cols));
    const bool own = linears.size() == 2;
    const Value kv = b.product(h, std::move(linears), "k v");
    const Value k = kv.columns(0, cols);
    const Value v = own ? kv.columns(cols, cols) : b.heads(k, n, 0, block.head_dim, "v");
    b.emit_into(TurnHeads{.n_heads = n, .norm = b.plain_norm(NormKind::Rms)}, v);
    turn_heads(b, k, "attn_k_norm", block);
    return {k, v};
}

void add_attention(Builder& b, Value x, const AttentionBlock& block, KeysValues& shared, bool owns) {
    const Value h = b.normalise(x, b.norm("attn_norm"), "h");
    if (owns) shared = keys_values(b, h, block);
    if (!shared.k.present())
        throw_error(ErrorKind::BadFile, b.where(),
                    "layer {} takes keys from a layer of its kind, none has any", b.layer());
    const Value q =
        b.product(h, {b.linear("attn_q", h.cols, b.hp().n_heads(b.layer()) * block.head_dim)}, "q");
    turn_heads(b, q, "attn_q_norm", block);
    const Value out = attended_turned(b, q, shared.k, shared.v, block);
    add_branch(b, out, b.linear("attn_output", out.cols, x.cols), x, {.post_norm = block.post_norm});
}

/// The router reads the stream by a norm of its own.
Value router_logits(Builder& b, Value x, std::int64_t n_experts) {
    Norm norm = b.plain_norm(NormKind::Rms);
    norm.weight = b.vector("ffn_gate_inp.scale", x.cols);
    const Value normed = b.normalise(x, norm, "router input");
    const Value input =
        b.chain(normed, {affine(1.0f / std::sqrt(static_cast<float>(x.cols)))}, "router input");
    return b.precise_product(input, b.plain_linear("ffn_gate_inp", x.cols, n_experts), "logits");
}

void add_ffn(Builder& b, Value x) {
    const Value inner = ffn_inner(b, b.normalise(x, b.norm("ffn_norm"), "h"), {.function = kGelu});
    const Value out = b.product(inner, {b.linear("ffn_down", inner.cols, x.cols)}, "branch");
    if (!b.has("ffn_gate_inp")) return b.add(out, b.norm("post_ffw_norm"), 1, x);
    const Value y = b.normalise(out, b.norm("post_ffw_norm_1"), "y");
    const Router router = router_of(b, {.normalise = true, .reads_gating = false});
    const Value logits = router_logits(b, x, router.n_experts);
    const Value sum = moe_sum(b, b.normalise(x, b.norm("pre_ffw_norm_2"), "h"),
                              {.router = router,
                               .width = b.hp().required("expert_feed_forward_length"),
                               .function = kGelu,
                               .logits = logits});
    b.add(sum, b.norm("post_ffw_norm_2"), 1, y);
    b.add(y, b.norm("post_ffw_norm"), 1, x);
}

}  // namespace

void build_gemma4(Builder& b) {
    const Hyperparameters& hp = b.hp();
    b.use_norms(NormKind::Rms);
    const Windows windows(b, {.reads_period = false, .reads_array = true});
    const std::int64_t n_owning = hp.n_layers() - hp.integer("attention.shared_kv_layers").value_or(0);
    const std::int64_t own_width = hp.integer("embedding_length_per_layer_input").value_or(0);
    Value x = b.embed(std::sqrt(static_cast<float>(b.hidden())));
    Value own;
    if (own_width > 0) own = layer_embeddings(b, x, own_width);
    std::array<KeysValues, 2> last;  // of full and of windowed layers
    for (std::int64_t i = 0; i < hp.n_layers(); ++i) {
        b.begin_layer(x);
        add_attention(b, x, attention_of(b, windows), last[windows.windowed(i) ? 1 : 0], i < n_owning);
        b.next_stage();
        add_ffn(b, x);
        if (own_width > 0)
            b.add(layer_embedding(b, x, own.columns(i * own_width, own_width)), b.norm("post_norm"), 1, x);
        if (!b.has("layer_output_scale")) continue;
        x = b.chain(x, {times(b.vector("layer_output_scale.weight", 1))}, "x");
        b.leave_layer(x);
    }
    b.finish(x);
    b.scale_logits(1, hp.number("final_logit_softcapping", 30));
}

}  // namespace assay::model
