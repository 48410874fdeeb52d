// deepseek4 and glm5-next: manifold-constrained hyper-connections, and keys of whole blocks of tokens, of
// which an indexer chooses.
#include <cmath>

#include "core/error.h"
#include "model/arch/architectures.h"

namespace assay::model {

namespace {

/// A layer's rotation: only layers with keys of blocks have their own base and scaling.
Rope rope_of_ratio(const Builder& b, std::int64_t ratio) {
    RopeOptions options{.scaled = false};
    if (ratio > 0)
        options = {.base = b.hp().number("attention.compress_rope_freq_base", 0), .yarn_betas = true};
    Rope rope = make_rope(b, b.hp().required("rope.dimension_count"), options);
    rope.magnitude = 1;
    return rope;
}

/// Keys of blocks with tensors <name>_kv, _gate, _ape and _norm, turned by the position of their first token.
Value compressed(Builder& b, Value h, const std::string& name, std::int64_t dim, std::int64_t ratio,
                 const Rope& rope) {
    constexpr std::int64_t kDisjointRatio = 128;
    const bool overlapping = ratio != kDisjointRatio;
    const std::int64_t cols = overlapping ? 2 * dim : dim;
    const Value all =
        b.product(h, {b.linear(name + "_kv", h.cols, cols), b.linear(name + "_gate", h.cols, cols)}, name);
    const Value pooled = b.emit(Pool{all.columns(0, cols), all.columns(cols, cols),
                                     b.vector(name + "_ape.weight", ratio * cols), ratio, overlapping},
                                dim, name);
    const Value keys = b.normalise(pooled, b.norm(name + "_norm", dim), name);
    b.emit_into(TurnHeads{.n_heads = 1, .rope = rope, .first = dim - rope.n_rot()}, keys);
    return keys;
}

/// Which keys of blocks a query sees; absent where it sees all.
Value indexed_blocks(Builder& b, Value h, Value query_latent, std::int64_t ratio, const Rope& rope) {
    const IndexerSizes s = indexer_sizes(b);
    const Value q = b.product(
        query_latent, {b.linear("indexer.attn_q_b", query_latent.cols, s.n_heads * s.head_dim)}, "indexer q");
    const Value weights = b.product(h, {b.linear("indexer.proj", h.cols, s.n_heads)}, "indexer weights");
    const Value keys = compressed(b, h, "indexer_compressor", s.head_dim, ratio, rope);
    if (b.n_rows() / ratio <= s.n_chosen) return {};
    b.emit_into(TurnHeads{.n_heads = s.n_heads, .rope = rope, .first = s.head_dim - rope.n_rot()}, q);
    return choose_blocks(b, q, keys, weights, ratio, s.n_chosen, false);
}

/// Keys that are values too, one head for all queries; what leaves is turned back.
Value shared_key_attention(Builder& b, Value h) {
    const Hyperparameters& hp = b.hp();
    const std::int64_t n = hp.n_heads(b.layer()), dim = hp.head_dim(b.layer()),
                       q_rank = hp.required("attention.q_lora_rank"),
                       ratio = hp.per_layer("attention.compress_ratios", b.layer(), 0);
    const Rope rope = rope_of_ratio(b, ratio);
    const std::int64_t first = dim - rope.n_rot();
    const Value qa = b.product(h, {b.linear("attn_q_a", h.cols, q_rank)}, "q latent");
    const Value latent = b.normalise(qa, b.norm("attn_q_a_norm", q_rank), "q latent");
    const Value q = b.product(latent, {b.linear("attn_q_b", q_rank, n * dim)}, "q");
    b.emit_into(TurnHeads{n, b.plain_norm(NormKind::Rms), false, rope, first}, q);
    const Value kv = b.normalise(b.product(h, {b.linear("attn_kv", h.cols, dim)}, "kv"),
                                 b.norm("attn_kv_a_norm", dim), "kv");
    b.emit_into(TurnHeads{.n_heads = 1, .rope = rope, .first = first}, kv);
    Attend op;
    op.q = q;
    op.k = op.v = b.heads(kv, 1, 0, dim, "keys");
    op.n_heads = n;
    op.n_kv_heads = 1;
    op.head_dim = op.value_dim = dim;
    op.scale = 1.0f / std::sqrt(static_cast<float>(dim));
    op.window = hp.required("attention.sliding_window");
    op.sinks = b.vector("attn_sinks.weight", n);
    if (ratio > 0) {
        const Value blocks = compressed(b, h, "attn_compressor", dim, ratio, rope);
        op.block_k = op.block_v = b.heads(blocks, 1, 0, dim, "block keys");
        op.block_tokens = ratio;
        if (b.has("indexer.proj")) op.chosen = indexed_blocks(b, h, latent, ratio, rope);
    }
    const Value out = b.emit(std::move(op), n * dim, "attended");
    b.emit_into(TurnHeads{.n_heads = n, .rope = rope, .first = first, .backwards = true}, out);
    return out;
}

/// Groups of heads have products of their own into a latent.
Value grouped_output(Builder& b, Value out) {
    const std::int64_t n_groups = b.hp().required("attention.output_group_count"),
                       rank = b.hp().required("attention.output_lora_rank");
    if (out.cols % n_groups != 0)
        throw_error(ErrorKind::BadFile, b.where(), "{} columns of heads in {} groups", out.cols, n_groups);
    const Value low =
        b.emit(Product{out, {b.linear("attn_output_a", out.cols / n_groups, rank, n_groups)}, n_groups},
               n_groups * rank, "low");
    return b.product(low, {b.linear("attn_output_b", low.cols, b.hidden())}, "branch");
}

/// The first hash_layer_count layers choose experts by token.
Router hashed_router(Builder& b) {
    Router router = router_of(b, {.gating = Gating::SqrtSoftplus});
    if (b.layer() >= b.hp().integer("hash_layer_count").value_or(0)) return router;
    router.selection_bias = {};
    router.lookup = b.linear("ffn_gate_tid2eid", router.n_used, b.n_vocab()).weight;
    return router;
}

GateFunction shared_function(const Builder& b) {
    const bool own = b.hp().metadata().find(b.hp().key("swiglu_clamp_shexp")) != nullptr;
    return clamped_function(b, own ? "swiglu_clamp_shexp" : "swiglu_clamp_exp", GateKind::ClampedBefore);
}

GateFunction routed_function(const Builder& b) {
    return clamped_function(b, "swiglu_clamp_exp", GateKind::ClampedBefore);
}

/// Two halves of the current layer: streams go to others and back.
void mhc_layer(Builder& b, Value x, const std::function<Value(Value)>& mixer,
               const std::function<Value(Value)>& feed_forward, const MhcForm& form = {}) {
    const Value between = b.declare(x.cols, "streams");
    const HyperStep first = open_mhc(b, x, "hc_attn", form);
    close_hyper(b, x, first, mixer(b.normalise(first.input, b.norm("attn_norm"), "h")), between);
    b.next_stage();
    const HyperStep second = open_mhc(b, between, "hc_ffn", form);
    const Value sum = feed_forward(b.normalise(second.input, b.norm("ffn_norm"), "h"));
    b.next_stage();
    close_hyper(b, between, second, sum, x);
}

Value output_branch(Builder& b, Value heads) {
    return b.product(heads, {b.linear("attn_output", heads.cols, b.hidden())}, "branch");
}

/// The mean of the streams, normed.
void finish_mean(Builder& b, Value streams) {
    b.begin_head();
    b.finish_normed(b.normalise(hyper_mean(b, streams), b.norm("output_norm"), "final"));
}

/// Keys of glm5-next's blocks, which do not turn.
Value pooled_choice(Builder& b, Value h, Value query_latent) {
    const Hyperparameters& hp = b.hp();
    const IndexerSizes s = indexer_sizes(b);
    const std::int64_t block = hp.required("attention.indexer.kpool");
    if (!hp.flag("attention.indexer.kpool_select_tail", false))
        throw_error(ErrorKind::Unsupported, b.where(),
                    "{} is false: the first queries would see nothing, expected true",
                    hp.key("attention.indexer.kpool_select_tail"));
    Norm norm = b.norm("indexer.k_norm", s.head_dim);
    norm.kind = NormKind::Layer;
    norm.eps = hp.epsilon("attention.layer_norm_epsilon");
    const Value raw = b.product(h, {b.linear("indexer.attn_k", h.cols, s.head_dim)}, "indexer k");
    const Value gate = b.product(h, {b.linear("indexer_compressor_gate", h.cols, s.head_dim)}, "gate");
    const Value weights = b.product(h, {b.linear("indexer.proj", h.cols, s.n_heads)}, "indexer weights");
    const Value q = b.product(
        query_latent, {b.linear("indexer.attn_q_b", query_latent.cols, s.n_heads * s.head_dim)}, "indexer q");
    const Vector bias = b.vector("indexer_compressor_ape.weight", block * s.head_dim);
    if (b.n_rows() <= s.n_chosen) return {};
    const Value keys =
        b.emit(Pool{b.normalise(raw, norm, "indexer k"), gate, bias, block}, s.head_dim, "block keys");
    return choose_blocks(b, q, keys, weights, block, s.n_chosen / block, true);
}

}  // namespace

void build_deepseek4(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = hyper_embed(b);
    const std::int64_t width = b.hp().required("expert_feed_forward_length");
    const auto layer = [&](Value streams) {
        mhc_layer(
            b, streams, [&](Value h) { return grouped_output(b, shared_key_attention(b, h)); },
            [&](Value h) {
                return moe_sum(b, h,
                               {.router = hashed_router(b),
                                .width = width,
                                .function = routed_function(b),
                                .shared = SharedExpert::Plain,
                                .shared_ffn = {.width = width * b.hp().required("expert_shared_count"),
                                               .function = shared_function(b)}});
            });
    };
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        layer(x);
    }
    b.begin_head();
    b.finish_normed(b.normalise(hyper_head(b, x), b.norm("output_norm"), "final"));
    nextn_blocks(b, x, {.layer = layer, .hands_residual = true, .leave = [&](Value streams) {
                            return hyper_head(b, streams);
                        }});
}

void build_glm5_next(Builder& b) {
    b.use_norms(NormKind::Rms);
    const Value x = hyper_embed(b);
    constexpr float kLengthEps = 1e-6f;
    const KdaBlock delta{
        .lower_bound = b.hp().number("kda.gate_lower_bound", 0), .l2 = NormKind::L2, .l2_eps = kLengthEps};
    Value chosen;
    const auto latent_attention = [&](Value h) {
        MlaBlock block{.chosen_tokens = b.hp().required("attention.indexer.kpool")};
        block.choose = [&](Value query_latent) {
            const bool is_layer = b.layer() < b.hp().n_layers();
            if (!is_layer || b.hp().per_layer("attention.indexer.types", b.layer(), 1) != 0)
                chosen = pooled_choice(b, h, query_latent);
            return chosen;
        };
        return mla_attended(b, h, block);
    };
    const auto mixer = [&](Value h) {
        const bool recurrent = b.hp().per_layer("attention.head_count_kv", b.layer(), 1) == 0;
        return output_branch(b, recurrent ? kda_gated(b, h, delta) : latent_attention(h));
    };
    const auto experts = [&] {
        return DenseLead{.router = {.gating = Gating::Sigmoid},
                         .function = routed_function(b),
                         .shared = shared_function(b),
                         .dense = shared_function(b)};
    };
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        mhc_layer(b, x, mixer, [&](Value h) { return dense_lead_sum(b, h, experts()); });
    }
    finish_mean(b, x);
    // Its block is a plain layer over one stream.
    nextn_blocks(b, x, {.layer = [&](Value stream) {
                     const Value out = latent_attention(b.normalise(stream, b.norm("attn_norm"), "h"));
                     b.add_product(out, b.linear("attn_output", out.cols, b.hidden()), stream);
                     b.next_stage();
                     dense_lead(b, b.normalise(stream, b.norm("ffn_norm"), "h"), stream, experts());
                 }});
}

void build_xing4_0(Builder& b) {
    // Epsilon is for divisors only there. That it comes to the shares of the first softmax here too is a
    // difference of epsilon, as large as the one between the reference's own two ways.
    constexpr MhcForm kForm{.epsilon_on_input = false, .clamp = 30, .by_destination = true};
    b.use_norms(NormKind::Rms);
    const Value x = hyper_embed(b);
    for (std::int64_t i = 0; i < b.hp().n_layers(); ++i) {
        b.begin_layer(x);
        mhc_layer(
            b, x, [&](Value h) { return output_branch(b, mla_attended(b, h, deepseek_attention(b))); },
            [&](Value h) { return dense_lead_sum(b, h, {}); }, kForm);
    }
    finish_mean(b, x);
    nextn_blocks(b, x, {.layer = [&](Value stream) {
                     mla(b, b.normalise(stream, b.norm("attn_norm"), "h"), stream, deepseek_attention(b));
                     b.next_stage();
                     dense_lead(b, b.normalise(stream, b.norm("ffn_norm"), "h"), stream, {});
                 }});
}

}  // namespace assay::model
