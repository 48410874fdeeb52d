// Kinds of functions that a model names and a backend computes: one list for both.
#pragma once

#include <cstdint>

namespace assay {

/// Functions of one number.
enum class Activation : std::uint8_t {
    Identity,
    Silu,     ///< x sigmoid(x)
    Gelu,     ///< 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    Relu,     ///< max(x, 0)
    Relu2,    ///< max(x, 0)^2
    Sigmoid,  ///< 1 / (1 + exp(-x))
    Tanh,
    Exp,
    Softplus,         ///< ln(1 + exp(x)); x above 20
    Log2OnePlusExp2,  ///< log2(1 + 2^x)
    SignedRoot,       ///< sign(x) sqrt(max(|x|, 1e-6)), 0 for 0
};

/// What a link of a chain does to the accumulator of an element.
enum class LinkKind : std::uint8_t {
    Apply,   ///< activation(acc)
    Affine,  ///< acc * a + b
    Clamp,   ///< to [a, b]
    Times,   ///< acc * operand
    Plus,    ///< acc + operand
    Minus,   ///< acc - operand
};

/// What a feed-forward makes of a gate g and a value u.
enum class GateKind : std::uint8_t {
    Activated,      ///< act(g) u; without a gate, act(u)
    ClampedBefore,  ///< silu(min(g, limit)) clamp(u, -limit, limit)
    ClampedAfter,   ///< min(silu(g), limit) clamp(u, -limit, limit)
    SwigluOai,      ///< g' sigmoid(slope g') (u' + 1), g' = min(g, limit), u' = clamp(u, -limit, limit)
    Situ,           ///< slope tanh(g / slope) sigmoid(g) limit tanh(u / limit)
};

struct GateFunction {
    GateKind kind = GateKind::Activated;
    Activation activation = Activation::Silu;  ///< of GateKind::Activated
    float limit = 0;
    float slope = 0;

    friend bool operator==(const GateFunction&, const GateFunction&) = default;
};

enum class NormKind : std::uint8_t {
    None,   ///< y = x
    Rms,    ///< y = x / sqrt(mean(x^2) + eps) * weight + bias (Zhang & Sennrich 2019)
    Layer,  ///< y = (x - mean) / sqrt(var + eps) * weight + bias (Ba et al. 2016)
    L2,     ///< y = x / sqrt(sum(x^2) + eps) * weight
    L2Max,  ///< y = x / max(sqrt(sum(x^2)), eps) * weight
};

/// A number of a row of x.
enum class Reduction : std::uint8_t {
    Sum,
    Mean,
    Length,     ///< sqrt(sum x^2)
    Deviation,  ///< sqrt(sum (x - mean)^2 / (n - 1))
};

/// How a router's logits become the weights of the experts that it chose.
enum class Gating : std::uint8_t {
    Softmax,          ///< over all logits
    Sigmoid,          ///< of each logit
    SoftmaxSelected,  ///< over the logits of the chosen experts only
    SqrtSoftplus,     ///< sqrt(softplus(logit))
};

/// Which components of a head turn together.
enum class Pairing : std::uint8_t {
    Adjacent,  ///< 2i and 2i + 1
    Halves,    ///< i and i + n_rot / 2
};

/// Which earlier positions r a query at p sees, beside r <= p where attention is causal.
enum class WindowKind : std::uint8_t {
    Sliding,    ///< p - r < window
    Chunked,    ///< r >= floor(p / window) * window
    Symmetric,  ///< |p - r| <= window / 2
};

/// Linear attention with a state S [key_dim, value_dim] for each head of a chunk, zero before its first
/// token. w: decay of S's rows, one factor or one for each of key_dim.
enum class ScanKind : std::uint8_t {
    Gated,  ///< S = w S + k v^T; o = S^T q (Mamba-2: Dao & Gu 2024; lightning attention: Qin et al. 2024)
    Delta,  ///< S = w S; S += k (beta (v - S^T k))^T; o = S^T q (Yang et al. 2024)
    Bonus,  ///< o = (S + (u k) v^T)^T q; S = w S + k v^T (RWKV-6: Peng et al. 2024)
    Rank1,  ///< S = w S + b (a^T S) + k v^T; o = S^T q (RWKV-7: Peng et al. 2025)
};

/// What is compared of a layer's rows. in_L: the normalised input of layer L's first product; ffn_L: the
/// normalised input of its feed-forward.
enum class SimilarityKind : std::uint8_t {
    Layer,      ///< cos(in_L, in_{L+1})
    Attention,  ///< cos(ffn_L, in_L)
    Ffn,        ///< cos(ffn_L, in_{L+1})
    // The residual stream itself, with |after - before| / |before| beside the cosine:
    Residual,           ///< before and after layer L
    ResidualAttention,  ///< before and after its attention
    ResidualFfn,        ///< before and after its feed-forward
};

}  // namespace assay
