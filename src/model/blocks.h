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
    std::string sub_norm{};    ///< name of a norm before attn_output; empty: none
    bool input_biases = true;  ///< biases of queries, keys and values apply where the file has them
    bool output_bias = true;   ///< attn_output.bias applies where the file has it
    Norm post_norm{};          ///< of the branch before it is added
    float branch_scale = 1;    ///< of the branch
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

/// [n_heads] slopes of ALiBi (Press et al. 2022) for a largest bias.
Vector alibi_slopes(std::int64_t n_heads, float max_bias);
/// [n_ctx] 1 + scale * ln(floor((p + offset) / length) + 1)
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
    /// Called with the normed query latent (indexers read it); may be empty.
    std::function<void(Value)> with_query_latent{};
};

/// What leaves the heads, before attn_output.
Value mla_attended(Builder& b, Value h, const MlaBlock& block);

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
};
/// What enters ssm_out. l2: the norm of queries and keys.
Value delta_net(Builder& b, const DeltaInputs& inputs, const DeltaSizes& sizes, Norm l2, bool interleaved);

/// residual += scale * ssm_out Mamba-2(h) (Dao & Gu 2024)
void mamba2(Builder& b, Value h, Value residual, float branch_scale = 1);

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

/// The first leading_dense_block_count layers dense, then experts of expert_feed_forward_length with shared
/// ones beside them, of expert_shared_feed_forward_length or expert_shared_count such widths.
struct DenseLead {
    RouterDefaults router{};
    GateFunction function{};  ///< of routed experts
    GateFunction shared{};    ///< of shared experts
    GateFunction dense{};     ///< of dense layers
};
void dense_lead(Builder& b, Value h, Value residual, const DenseLead& block);

/// Embeddings of each layer's own (gemma3n, gemma4), [layers * width]: what per_layer_token_embd has for the
/// token, and per_layer_model_proj makes of the embedding x.
Value layer_embeddings(Builder& b, Value x, std::int64_t width);
/// proj (gelu(inp_gate x) * own), the branch that brings a layer's part of them in.
Value layer_embedding(Builder& b, Value x, Value own);

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
