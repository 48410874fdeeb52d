// What a model is, as plain data: layers of a mixer and a feed-forward network, with named tensors and
// numbers. Quirks of architectures are numbers here (a soft cap of 0 means none, a window of 0 means all), so
// that the engine executes any description without asking for a name. Tensor names are those of the GGUF
// file.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace assay::model {

/// A weight matrix, or n_matrices of them (experts). Rows of n_in weights, n_out rows a matrix.
struct Weight {
    std::string name;  ///< empty: the model has none
    std::int64_t n_in = 0;
    std::int64_t n_out = 0;
    std::int64_t n_matrices = 1;
    std::string scale;  ///< tensor with one factor, or one per matrix, of the product (NVFP4); empty: none

    bool present() const noexcept { return !name.empty(); }
};

/// A vector of `size` numbers (per matrix, where the weight beside it has several).
struct Vector {
    std::string name;  ///< empty: the model has none
    std::int64_t size = 0;

    bool present() const noexcept { return !name.empty(); }
};

/// y = W x + bias
struct Linear {
    Weight weight;
    Vector bias;
};

enum class NormKind {
    None,   ///< y = x
    Rms,    ///< y = x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019)
    Layer,  ///< y = (x - mean) / sqrt(var + eps) * weight + bias (Ba et al. 2016)
};

struct Norm {
    NormKind kind = NormKind::None;
    Vector weight;
    Vector bias;
    float eps = 0;

    bool present() const noexcept { return kind != NormKind::None; }
};

/// Rotary position embedding (Su et al. 2021): pair i of a head turns by position * frequencies[i] radians.
struct Rope {
    enum class Pairing {
        Adjacent,  ///< components 2i and 2i+1
        Halves,    ///< components i and i + n_rot/2
    };
    Pairing pairing = Pairing::Adjacent;
    std::vector<float> frequencies;  ///< [n_rot/2], scaling and factors applied; empty: no rotation
    float magnitude = 1;             ///< of the rotated components

    std::int64_t n_rot() const noexcept { return 2 * static_cast<std::int64_t>(frequencies.size()); }
};

/// Grouped-query attention over one chunk, causal.
struct Attention {
    std::int64_t n_heads = 0;
    std::int64_t n_kv_heads = 0;
    std::int64_t head_dim = 0;   ///< of queries and keys
    std::int64_t value_dim = 0;  ///< of values
    /// Products of the same input whose outputs, in order, are queries, keys, values: three, or one fused.
    std::vector<Linear> qkv;
    Norm q_norm;  ///< per head, before the rotation
    Norm k_norm;
    Rope rope;
    float scale = 1;          ///< of the scores
    float soft_cap = 0;       ///< c: scores become c * tanh(score / c)
    std::int64_t window = 0;  ///< a query sees this many positions, its own the last
    /// Queries at position p are multiplied by 1 + temperature * ln(floor(p / temperature_length) + 1).
    float temperature = 0;
    std::int64_t temperature_length = 0;
    Linear output;
};

enum class Activation { Silu, Gelu };

/// down(act(gate(x)) * up(x))
struct DenseFfn {
    Linear gate;
    Linear up;
    Linear down;
    Activation activation = Activation::Silu;
};

enum class Gating {
    Softmax,          ///< over all logits
    Sigmoid,          ///< of each logit
    SoftmaxSelected,  ///< over the logits of the chosen experts only
};

/// The n_used experts with the largest scores, their outputs weighted.
struct ExpertFfn {
    Linear router;
    std::int64_t n_experts = 0;
    std::int64_t n_used = 0;
    Gating gating = Gating::Softmax;
    bool normalise = false;  ///< weights of the chosen sum to 1
    float weight_scale = 1;
    Linear gate;  ///< n_matrices = n_experts, as up and down
    Linear up;
    Linear down;
    Activation activation = Activation::Silu;
};

using Mixer = std::variant<Attention>;
using Ffn = std::variant<DenseFfn, ExpertFfn>;

/// x += post_norm(mixer(norm(x))); x += ffn_post_norm(ffn(ffn_norm(x)))
struct Layer {
    std::int64_t index = 0;
    Norm mixer_norm;
    Mixer mixer;
    Norm mixer_post_norm;
    Norm ffn_norm;
    Ffn ffn;
    Norm ffn_post_norm;
};

struct ModelSpec {
    std::string architecture;
    std::string name;  ///< general.name, may be empty
    std::int64_t n_vocab = 0;
    std::int64_t hidden = 0;
    std::int64_t context_length = 0;  ///< the model was trained on
    Weight embedding;
    float embedding_scale = 1;
    std::vector<Layer> layers;
    Norm output_norm;
    Linear output;  ///< the embedding again where tied
    bool output_tied = false;
    float logit_scale = 1;
    float logit_soft_cap = 0;
};

}  // namespace assay::model
