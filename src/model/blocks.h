// Parts of a layer that many architectures share: attention, feed-forward, experts. Each reads its tensors
// under their usual names and shapes from metadata; options say what differs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "model/builder.h"
#include "model/rope.h"

namespace assay::model {

enum class HeadNorms {
    None,
    Each,  ///< attn_q_norm and attn_k_norm [head_dim], for each head; or [n_heads, head_dim]
    Full,  ///< over all heads of q, and of k, at once
};

struct AttentionBlock {
    // Heads and sizes; 0: those of the layer in metadata.
    std::int64_t n_heads = 0;
    std::int64_t n_kv_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t value_dim = 0;
    Rope rope{};  ///< absent: no rotation
    HeadNorms head_norms = HeadNorms::None;
    bool plain_head_norms = false;  ///< each head by itself, without weights
    float head_layer_norm_eps = 0;  ///< heads have layer norms with this epsilon; 0: the model's kind
    bool norm_last = false;         ///< heads are normalised after the rotation
    float scale = 0;                ///< 0: 1/sqrt(head_dim)
    float soft_cap = 0;
    float clamp = 0;               ///< of queries, keys and values; 0: none
    std::optional<bool> causal{};  ///< absent: attention.causal, or true
    std::int64_t window = 0;
    WindowKind window_kind = WindowKind::Sliding;
    Vector query_scale{};
    float max_alibi_bias = 0;  ///< 0: none
    /// attn_gate (a factor for each head, or each column) on what leaves the heads; Identity: none.
    Activation gate = Activation::Identity;
    std::string sub_norm{};        ///< name of a norm before attn_output; empty: none
    bool head_norm_biases = true;  ///< biases of head norms apply where the file has them
    bool input_biases = true;      ///< those of queries, keys and values do
    bool output_bias = true;       ///< attn_output.bias applies where the file has it
    Norm post_norm{};              ///< of the branch before it is added
    float branch_scale = 1;        ///< of the branch
    Value chosen{};                ///< by an indexer, of runs of chosen_tokens tokens; absent: all
    std::int64_t chosen_tokens = 1;
};

/// attn_qkv, or attn_q, attn_k, attn_v; what leaves the heads, before attn_output. Sinks where the file has
/// them.
Value attended(Builder& b, Value h, const AttentionBlock& block);
/// The same of heads that are there.
Value attended(Builder& b, Value q, Value k, Value v, const AttentionBlock& block);
/// The same of heads that are normalised and turned.
Value attended_turned(Builder& b, Value q, Value k, Value v, const AttentionBlock& block);
/// In place: the block's head norms, of weight `norm_name`, and its rotation.
void turn_heads(Builder& b, Value heads, std::string_view norm_name, const AttentionBlock& block);
/// residual += scale * post_norm(attn_output attended(h))
void attention(Builder& b, Value h, Value residual, const AttentionBlock& block);

/// out * activation(attn_gate h), a factor for each head or each column.
Value gated_heads(Builder& b, Value h, Value out, std::int64_t n_heads, Activation activation);

/// [n_heads] slopes of ALiBi (Press et al. 2022) for a largest bias.
Vector alibi_slopes(std::int64_t n_heads, float max_bias);
/// [rows of a chunk] 1 + scale * ln(floor((p + offset) / length) + 1) at position p
Vector query_temperature(const Builder& b, float scale, std::int64_t length, std::int64_t offset = 0);

/// Where and how a branch joins the residual stream.
struct Branch {
    Norm post_norm{};
    float scale = 1;
};

/// residual += scale * post_norm(linear x)
void add_branch(Builder& b, Value x, Linear linear, Value residual, const Branch& branch);

/// Multi-head latent attention (DeepSeek-AI 2024): keys and values come from one latent of kv_lora_rank
/// columns. With attn_k_b and attn_v_b attention runs in the latent, with attn_kv_b on keys and values made
/// from it.
struct MlaBlock {
    // 0: from metadata.
    std::int64_t kv_rank = 0;
    std::int64_t head_dim = 0;
    std::int64_t value_dim = 0;
    std::int64_t n_rot = 0;
    Rope rope{};            ///< of the last n_rot components of a head; absent: no rotation
    bool key_norm = false;  ///< attn_k_norm on the rotated part of the key
    float scale = 0;        ///< 0: 1/sqrt(head_dim)
    std::int64_t window = 0;
    Vector query_scale{};
    Activation gate = Activation::Identity;  ///< attn_gate on what leaves the heads; Identity: none
    /// Called with the normed query latent: the keys that an indexer chooses, or nothing; may be empty.
    std::function<Value(Value)> choose{};
    std::int64_t chosen_tokens = 1;  ///< it chooses runs of so many
};

/// What leaves the heads, before attn_output.
Value mla_attended(Builder& b, Value h, const MlaBlock& block);
/// residual += attn_output mla_attended(h)
void mla(Builder& b, Value h, Value residual, const MlaBlock& block);

/// An indexer's own sizes, under attention.indexer.
struct IndexerSizes {
    std::int64_t n_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t n_chosen = 0;  ///< tokens
};
IndexerSizes indexer_sizes(const Builder& b);

/// Lightning indexer (DeepSeek-AI 2025) over single tokens.
struct IndexerBlock {
    Rope rope{};
    bool turns_last = false;  ///< the last components of a head turn, not the first
    float eps = 0;            ///< of indexer.k_norm
    bool chooses = true;      ///< false: its products are there, and everything is seen
};
/// What queries see, as Attend::chosen; absent where that is everything. query_latent: as MlaBlock::choose
/// has it.
Value indexed(Builder& b, Value h, Value query_latent, const IndexerBlock& block);
/// The same where its queries, its keys of blocks and the weights of its heads (or nothing) are there.
Value choose_blocks(Builder& b, Value q, Value k, Value weights, std::int64_t block_tokens,
                    std::int64_t n_chosen, bool tail);

/// A step into and out of several residual streams side by side (hyper-connections: Zhu et al. 2024).
struct HyperStep {
    Value input{};  ///< [hidden], mixed from the streams
    Value post{};   ///< [streams] factors of what the branch gives to each
    Value comb{};   ///< [streams * streams], as Mix takes it; absent: streams stay as they are
};
/// hyper_connection.count streams, all equal to the embedding.
Value hyper_embed(Builder& b);
/// What differs between manifold-constrained connections.
struct MhcForm {
    bool epsilon_on_input = true;  ///< factors of the streams that make the input have epsilon added
    float clamp = 0;               ///< of what the balance begins with; 0: none
    bool by_destination = false;   ///< that is [dst * streams + src], and softmax goes over src first
};
/// Manifold-constrained connections (DeepSeek-AI 2025) with tensors <name>_fn, _base and _scale.
HyperStep open_mhc(Builder& b, Value streams, const std::string& name, const MhcForm& form = {});
/// Independent connections: streams stay as they are.
HyperStep open_ihc(Builder& b, Value streams, const std::string& name);
/// Connections of low rank: each stream normalised by itself, and gated by what all of them make of a few
/// columns; tensors <name>_norm, _down, _up and _inject. Streams stay as they are.
HyperStep open_low_rank(Builder& b, Value streams, const std::string& name);
/// Streams after the branch gave `branch`, in `out`: the streams themselves where there is no `comb`, else
/// others.
void close_hyper(Builder& b, Value streams, const HyperStep& step, Value branch, Value out);
/// The mixture with output_hc_fn, _base and _scale that leaves the last layer.
Value hyper_head(Builder& b, Value streams);
/// The same of low rank, with <name>_norm, _down and _up, in place of the final norm.
Value low_rank_head(Builder& b, Value streams, const std::string& name);
/// The mean of streams side by side.
Value hyper_mean(Builder& b, Value streams);

/// Sizes of a gated delta net, from the keys under ssm.
struct DeltaSizes {
    std::int64_t n_heads = 0;  ///< of values
    std::int64_t n_key_heads = 0;
    std::int64_t key_dim = 0;
    std::int64_t value_dim = 0;
    std::int64_t kernel = 0;
};
DeltaSizes delta_sizes(const Builder& b);

/// Inputs of a gated delta net (Yang et al. 2024).
struct DeltaInputs {
    Value qkv{};    ///< [2 * key heads * key_dim + heads * value_dim], before the convolution
    Value alpha{};  ///< [heads]
    Value beta{};   ///< [heads]
    Value gate{};   ///< [heads * value_dim]
    Activation gate_function = Activation::Silu;
};
/// What enters ssm_out. l2: the norm of queries and keys.
Value delta_net(Builder& b, const DeltaInputs& inputs, const DeltaSizes& sizes, Norm l2, bool interleaved);

/// Kimi delta attention (Kimi Team 2025): a delta net with one decay for each key dimension, whose queries,
/// keys and values have convolutions of their own.
struct KdaBlock {
    /// 0: decay exp(ssm_a softplus(f)); below 0: exp(lower_bound sigmoid(|ssm_a| f)), where ssm_a is stored
    /// negative unless `positive_rates`.
    float lower_bound = 0;
    bool positive_rates = false;
    NormKind l2 = NormKind::L2Max;  ///< of queries and keys
    float l2_eps = 0;               ///< 0: that of the other norms
};
/// What enters attn_output.
Value kda_gated(Builder& b, Value h, const KdaBlock& block);
/// residual += attn_output kda_gated(h)
void kda(Builder& b, Value h, Value residual, const KdaBlock& block);

/// What enters ssm_out of Mamba (Gu & Dao 2023). dt, B and C are normalised where the file has weights for
/// that, or where `normalises` says so.
Value mamba(Builder& b, Value h, bool normalises);

/// residual += scale * ssm_out Mamba-2(h) (Dao & Gu 2024)
void mamba2(Builder& b, Value h, Value residual, float branch_scale = 1);

/// previous h - h, 0 - h at the first token
Value token_shift(Builder& b, Value h);
/// residual += time_mix_output of RWKV-6's time mix (Peng et al. 2024); without time_mix_first, of its gated
/// linear form (RWKV-6 in Qwen2).
void rwkv6_time_mix(Builder& b, Value h, Value residual);
/// The same of RWKV-7 (Peng et al. 2025). first_value: values of the first layer, set by it.
void rwkv7_time_mix(Builder& b, Value h, Value residual, Value& first_value);
/// residual += RWKV's feed-forward
void channel_mix(Builder& b, Value h, Value residual);

/// residual += out_proj(c * conv(b * x)), [b | c | x] = in_proj h
void short_convolution(Builder& b, Value h, Value residual);

struct FfnBlock {
    std::int64_t width = 0;  ///< 0: that of the layer in metadata
    GateFunction function{};
    bool gated = true;       ///< ffn_gate, or ffn_up of both, gate first; else act(ffn_up)
    bool biases = true;      ///< biases apply where the file has them
    std::string suffix{};    ///< "_shexp" for shared experts
    std::string sub_norm{};  ///< name of a norm before ffn_down; empty: none
    std::int64_t n_in = 0;   ///< 0: hidden
};

/// What enters ffn_down.
Value ffn_inner(Builder& b, Value h, const FfnBlock& block);
/// residual += branch(ffn_down ffn_inner(h))
void ffn(Builder& b, Value h, Value residual, const FfnBlock& block, const Branch& branch = {});

enum class SharedExpert {
    None,
    Plain,
    Gated,  ///< times sigmoid(ffn_gate_inp_shexp h)
};

struct MoeBlock {
    Router router{};  ///< from router_of()
    std::int64_t width = 0;
    GateFunction function{};
    bool gated = true;
    bool weigh_input = false;
    SharedExpert shared = SharedExpert::None;
    FfnBlock shared_ffn{};
    Value router_input{};  ///< absent: h
    Value logits{};        ///< absent: ffn_gate_inp of the router's input
};

/// Counts from expert_count and expert_used_count, gating from expert_gating_func (or the one given), scale
/// and normalisation from their keys where `normalise` is absent, groups, and exp_probs_b where the file has
/// it.
struct RouterDefaults {
    Gating gating = Gating::Softmax;
    std::optional<bool> normalise{};  ///< absent: expert_weights_norm
    bool reads_gating = true;         ///< false: expert_gating_func has no meaning
};
Router router_of(Builder& b, const RouterDefaults& defaults);

/// The first leading_dense_block_count layers dense, then experts of expert_width(), with shared ones beside
/// them where the file has such, expert_shared_count times as wide.
struct DenseLead {
    RouterDefaults router{};
    GateFunction function{};          ///< of routed experts
    GateFunction shared{};            ///< of shared experts
    GateFunction dense{};             ///< of dense layers
    bool reads_shared_width = false;  ///< expert_shared_feed_forward_length, where it is there
};
/// Whether the current layer is one of the first.
bool is_dense(const Builder& b);
/// The experts of another.
MoeBlock led_experts(Builder& b, const DenseLead& block);
/// residual += either of h
void dense_lead(Builder& b, Value h, Value residual, const DenseLead& block);
/// The same as a value of its own.
Value dense_lead_sum(Builder& b, Value h, const DenseLead& block);

/// Blocks behind the trunk (model::NextN), with tensors nextn.*.
struct NextNBlock {
    /// Writes a layer over the residual stream.
    std::function<void(Value)> layer{};
    /// What is handed on is the residual stream as it leaves the layers; false: what the output projection
    /// takes.
    bool hands_residual = false;
    /// [hidden] of the residual stream, within the head; absent: the stream itself.
    std::function<Value(Value)> leave{};
    /// `leave` multiplies with weights of the block's own, which are collected, and no norm follows.
    bool leaves_by_own = false;
};
/// All that are asked for; residual: the stream that leaves the trunk's layers.
void nextn_blocks(Builder& b, Value residual, const NextNBlock& block);

/// Embeddings of each layer's own (gemma3n, gemma4), [layers * width]: what per_layer_token_embd has for the
/// token, and per_layer_model_proj makes of the embedding x.
Value layer_embeddings(Builder& b, Value x, std::int64_t width);
/// proj (gelu(inp_gate x) * own), the branch that brings a layer's part of them in.
Value layer_embedding(Builder& b, Value x, Value own);

/// Whether ple.layers names the current layer.
bool has_ngrams(const Builder& b);
/// Embeddings of n-grams (per_layer_token_embd, looked up by hashes of the last tokens) join the streams,
/// gated by how they fit each and convolved: tensors ple_*.
void add_ngrams(Builder& b, Value streams);

/// SiLU, clamped by the limit that a key (a number, or one for each layer) gives this layer; not where it is
/// 0.
GateFunction clamped_function(const Builder& b, std::string_view key, GateKind kind);

/// expert_feed_forward_length, or what feed_forward_length leaves each expert that is used.
std::int64_t expert_width(const Builder& b, const Router& router);

/// residual += experts(h) + shared expert(h). Ends the current stage.
void moe(Builder& b, Value h, Value residual, const MoeBlock& block, float branch_scale = 1);
/// The same as a value of its own.
Value moe_sum(Builder& b, Value h, const MoeBlock& block);

}  // namespace assay::model
