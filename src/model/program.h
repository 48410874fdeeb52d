// What a model is, as plain data: a program. Layers are stages of steps over values; a step is one operation
// of a closed list. Quirks of architectures are numbers here (a soft cap of 0 means none, a window of 0 means
// all), so that the engine runs any program without asking for a name. Tensor names are those of the GGUF
// file.
//
// Nothing here says where a value lives, in which type, or what is observed: plan/plan.h derives that from
// one walk. Shapes are row-major, one row a token.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/kinds.h"

namespace assay::model {

/// A weight matrix, or n_matrices of them (experts, heads). Rows of n_in weights, n_out rows a matrix.
struct Weight {
    std::string name{};  ///< empty: the model has none
    std::int64_t n_in = 0;
    std::int64_t n_out = 0;
    std::int64_t n_matrices = 1;
    std::string scale{};  ///< tensor with one factor, or one per matrix, of the product (NVFP4); empty: none

    bool present() const noexcept { return !name.empty(); }
};

/// Numbers that are used element by element.
struct Vector {
    std::string name{};  ///< empty: the model has none
    std::int64_t size = 0;
    std::vector<float> values{};  ///< computed from metadata; empty: the tensor `name`, flat

    bool present() const noexcept { return !name.empty(); }
};

/// y = W x + bias; bias [n_out] or [n_matrices, n_out]
struct Linear {
    Weight weight{};
    Vector bias{};

    bool present() const noexcept { return weight.present(); }
};

/// weight and bias: as wide as what is normalised, or as one of its slices (repeated); absent: 1 and 0.
struct Norm {
    NormKind kind = NormKind::None;
    Vector weight{};
    Vector bias{};
    float eps = 0;

    bool present() const noexcept { return kind != NormKind::None; }
};

/// Rotary position embedding (Su et al. 2021): pair i of a head turns by position * frequencies[i] radians.
struct Rope {
    Pairing pairing = Pairing::Adjacent;
    Vector frequencies{};  ///< [n_rot/2], scaling and factors applied; absent: no rotation
    float magnitude = 1;   ///< of the rotated components

    std::int64_t n_rot() const noexcept { return 2 * frequencies.size; }
};

/// Columns [first, first + cols) of a value.
struct Value {
    std::int32_t id = -1;
    std::int64_t first = 0;
    std::int64_t cols = 0;

    bool present() const noexcept { return id >= 0; }
    Value columns(std::int64_t first_col, std::int64_t n_cols) const noexcept {
        return {id, first + first_col, n_cols};
    }
};

struct ValueInfo {
    std::string name{};  ///< for a reader; need not be unique
    std::int64_t cols = 0;
};

// The operations. `out` is the step's result, columns that nothing has written before or whose content no
// step takes any more, unless said otherwise.

/// A row for a token and those before it in its chunk: first_row + (xor_s multipliers[s] * id_s) % n_rows, in
/// 64 bits without sign, id_s the token s places back. `end` stands for tokens before the chunk's first, and
/// for all from the nearest `end` among those before.
struct Ngram {
    std::vector<std::uint64_t> multipliers{};
    std::int32_t end = 0;
    std::int64_t first_row = 0;
    std::int64_t n_rows = 0;
};

/// out = scale * columns [first, first + out.cols) of a table's row.
struct Lookup {
    enum class Row : std::uint8_t { Token, Position, Ngram };
    Weight table{};
    Row row = Row::Token;
    float scale = 1;
    std::int64_t first = 0;
    Ngram ngram{};  ///< of Row::Ngram
};

/// out = norm(x), each of n_slices equal slices of columns by itself.
struct Normalise {
    Value x{};
    Norm norm{};
    std::int64_t n_slices = 1;
};

/// out = the products of x with each of `linears`, side by side; observed. With n_heads > 1 there is one
/// linear of n_heads matrices, head i of x meets matrix i, and out may have wider heads, of which the first
/// columns are written.
struct Product {
    Value x{};
    std::vector<Linear> linears{};
    std::int64_t n_heads = 1;
    /// In f32 whatever the precision: rounding would decide something (routing, exponents).
    bool precise = false;
    bool adds = false;  ///< out is there already (the residual stream) and is added to
};

/// out = function(gate, up) of the product of x with `gate_up` side by side: gate rows, then up rows.
struct GatedProduct {
    Value x{};
    std::vector<Linear> gate_up{};  ///< two, or one fused
    GateFunction function{};
};

/// In place (out): normalises each head, then turns components [first, first + n_rot) of it.
struct TurnHeads {
    std::int64_t n_heads = 0;
    Norm norm{};             ///< of a head; weight [head_dim] or [n_heads, head_dim]
    bool norm_last = false;  ///< after the rotation
    Rope rope{};
    std::int64_t first = 0;
    bool backwards = false;  ///< turns back
};

/// In a block that predicts ahead: out = x in the row of the token before, as the trunk left it, or the block
/// before.
struct HandOn {
    Value x{};
};

/// Columns [first, first + count) of each head of x go to columns [out_first, out_first + count) of each head
/// of out. Heads are as wide as n_heads of them make x, and out.
struct CopyHeads {
    Value x{};
    std::int64_t n_heads = 0;
    std::int64_t first = 0;
    std::int64_t count = 0;
    std::int64_t out_first = 0;
    bool spread = false;  ///< x is one head, which every head of out takes
};

/// Softmax attention within a chunk: out [n_heads * value_dim]. Query head h reads key head
/// h / (n_heads / n_kv_heads).
struct Attend {
    Value q{}, k{}, v{};
    std::int64_t n_heads = 0;
    std::int64_t n_kv_heads = 0;
    std::int64_t head_dim = 0;   ///< of queries and keys
    std::int64_t value_dim = 0;  ///< of values
    float scale = 1;             ///< of the scores
    float soft_cap = 0;          ///< c: scores become c * tanh(score / c)
    bool causal = true;
    std::int64_t window = 0;  ///< 0: all
    WindowKind window_kind = WindowKind::Sliding;
    Vector query_scale{};  ///< [n_ctx] factor of a query by its position
    Vector sinks{};        ///< [n_heads] a score beside the keys' that carries no value
    Vector slopes{};       ///< [n_heads] ALiBi (Press et al. 2022): score -= slope * |p - r|
    Value block_k{};       ///< keys of whole blocks beside those of tokens, as Pool leaves them; absent: none
    Value block_v{};
    std::int64_t block_tokens = 0;  ///< a query sees blocks that end at its position or before
    Value chosen{};  ///< by Select: of blocks of block_k, or without those of runs of chosen_tokens tokens
    std::int64_t chosen_tokens = 1;
};

/// Keys of blocks: in the row of a block's first token, the mean of x over the block weighted column by
/// column by softmax(gate + bias) over it (DeepSeek-AI 2026); 0 in other rows.
struct Pool {
    Value x{};      ///< [cols]; overlapping: [2 * cols]
    Value gate{};   ///< as x; absent: 0
    Vector bias{};  ///< [block_tokens, columns of x]; absent: 0
    std::int64_t block_tokens = 0;
    /// A block takes the second half of its own columns, the first half of those of the block before.
    bool overlapping = false;
};

/// An indexer's choice (DeepSeek-AI 2025): out [ceil(n_ctx / block_tokens)], 1 for the n_chosen complete
/// blocks with the largest sum_h weight_h max(0, q_h . k), else 0.
struct Select {
    Value q{};        ///< [n_heads * head_dim]
    Value k{};        ///< [head_dim], of a block in the row of its first token
    Value weights{};  ///< [n_heads]; absent: 1
    std::int64_t n_heads = 0;
    std::int64_t block_tokens = 1;
    std::int64_t n_chosen = 0;
    bool tail = false;  ///< the block that is not complete is seen too
};

/// Depthwise causal convolution: out[t] = act(sum_j weight[c][j] x[t - (kernel - 1 - j) dilation] + bias[c]).
struct Convolve {
    Value x{};
    Vector weight{};  ///< [cols, kernel]
    Vector bias{};
    std::int64_t kernel = 0;
    Activation activation = Activation::Identity;
    std::int64_t dilation = 1;
};

/// Linear attention, ScanKind: out [n_heads * value_dim] = scale * o.
struct Scan {
    ScanKind kind = ScanKind::Gated;
    Value q{}, k{};           ///< [n_key_heads * key_dim]
    Value v{};                ///< [n_heads * value_dim]
    Value decay{};            ///< w [n_heads] or [n_heads * key_dim]
    Vector constant_decay{};  ///< [n_heads], where `decay` is absent
    Value beta{};             ///< Delta: [n_heads]
    Value a{}, b{};           ///< Rank1: [n_heads * key_dim]
    Vector bonus{};           ///< Bonus: u [n_heads * key_dim]
    std::int64_t n_heads = 0;
    std::int64_t n_key_heads = 0;
    std::int64_t key_dim = 0;
    std::int64_t value_dim = 0;
    bool interleaved = false;  ///< head h reads key head h % n_key_heads, not h / (n_heads / n_key_heads)
    float scale = 1;
};

/// Selective scan (Mamba: Gu & Dao 2023): S[c][n] = exp(dt[c] A[c][n]) S[c][n] + dt[c] x[c] B[n];
/// out[c] = sum_n S[c][n] C[n] + D[c] x[c].
struct SelectiveScan {
    Value x{}, dt{};  ///< [channels]
    Value b{}, c{};   ///< [n_state]
    Vector a{};       ///< [channels, n_state]
    Vector d{};       ///< [channels]
};

/// One link of a chain.
struct Link {
    LinkKind kind = LinkKind::Apply;
    Activation activation = Activation::Identity;
    float a = 1;
    float b = 0;
    // The operand: a value or a vector, as wide as the accumulator or a divisor of it.
    Value value{};
    Vector vector{};
    /// Of a narrower operand: column c is meant for the c-th run of width / cols columns (a head's factor);
    /// tiled: it repeats every cols columns (a head's weights).
    bool tiled = false;
    bool previous = false;  ///< the value at the position before; 0 at the first
};

/// out = x through the links, element by element.
struct Chain {
    Value x{};
    std::vector<Link> links{};
};

/// Streams of columns mixed: out[j] (+)= sum_i coefficients[j * n_in + i] x[i], x of n_in streams, out of
/// n_out.
struct Mix {
    Value x{};
    Value coefficients{};  ///< [n_out * n_in]
    std::int64_t n_in = 1;
    std::int64_t n_out = 1;
    bool adds = false;
};

/// out [n_slices]: a number of each slice of x's columns.
struct Reduce {
    Reduction kind = Reduction::Sum;
    Value x{};
    std::int64_t n_slices = 1;
};

/// out = softmax over each of n_slices slices of x.
struct Softmax {
    Value x{};
    std::int64_t n_slices = 1;
};

/// out [n * n], from x [src * n + dst]: softmax over dst, + eps, then (Sinkhorn & Knopp 1967) divided by the
/// sums over src + eps, and (iterations - 1) times by those over dst + eps and over src + eps. out is laid
/// out for Mix: [dst * n + src].
struct Sinkhorn {
    Value x{};
    std::int64_t n = 0;
    std::int64_t iterations = 1;
    float eps = 0;
};

/// out += scale * norm(x): a branch joins the residual stream.
struct Add {
    Value x{};
    Norm norm{};
    float scale = 1;
};

/// The n_used experts with the largest scores. score = gating(logit) + selection_bias; weights are without
/// the bias.
struct Router {
    std::int64_t n_experts = 0;
    std::int64_t n_used = 0;
    Gating gating = Gating::Softmax;
    bool normalise = false;  ///< weights of the chosen sum to 1
    float weight_scale = 1;
    Vector selection_bias{};     ///< [n_experts * logits_per_expert]
    bool select_logits = false;  ///< the scores are the logits + selection_bias
    /// Consecutive groups of experts: only the n_groups_used with the largest sum of their two best scores.
    std::int64_t n_groups = 1;
    std::int64_t n_groups_used = 1;
    Weight lookup{};  ///< experts by token id (i32 [n_used, vocab]) instead of by score
    /// So many consecutive logits stand for one expert, which is taken as often as they are chosen, each time
    /// with the score of the logit of the expert's own number.
    std::int64_t logits_per_expert = 1;
};

/// out += sum over the chosen experts e of weight_e * (down_e function(gate_e x, up_e x)). A stage of its
/// own: all rows of a wave go through, expert by expert.
struct Experts {
    Value x{};
    Value logits{};  ///< [n_experts * logits_per_expert]
    Router router{};
    Linear gate{};  ///< absent: fused or without
    Linear up{};    ///< or both fused, gate rows first
    Linear down{};  ///< absent: out += weight_e * act(up_e x)
    bool fused = false;
    GateFunction function{};
    bool weigh_input = false;  ///< experts see weight_e * x and are not weighted after
    bool adds = true;          ///< false: out is new and starts at zero
};

using Operation =
    std::variant<Lookup, Normalise, Product, GatedProduct, TurnHeads, HandOn, CopyHeads, Attend, Pool, Select,
                 Convolve, Scan, SelectiveScan, Chain, Mix, Reduce, Softmax, Sinkhorn, Add, Experts>;

struct Step {
    Operation operation;
    Value out{};
};

/// One unit of loading: its weights arrive together, and groups of chunks go through it one after another.
struct Stage {
    std::vector<Step> steps{};
    /// The only step of a stage of experts; null: the stage has other steps.
    const Experts* experts() const noexcept {
        return steps.size() == 1 ? std::get_if<Experts>(&steps.front().operation) : nullptr;
    }
};

struct Layer {
    std::int64_t index = 0;
    std::vector<Stage> stages{};
    // For similarity; absent where the layer has no such place.
    Value input{};      ///< of the layer's first product
    Value ffn_input{};  ///< of its first feed-forward product
    Value residual{};   ///< the stream that enters
    Value left{};       ///< the stream that leaves; mostly the same value
};

/// Logits: soft_cap(scale * (linear final)).
struct Output {
    Linear linear{};  ///< the embedding's table again where tied
    float scale = 1;
    float soft_cap = 0;
};

/// A block that predicts one token further than what is before it (multi-token prediction: DeepSeek-AI 2024).
/// Its chunks lack their first `ahead` tokens: row i is token i + ahead, which meets what the trunk, or the
/// block before, handed on for the token before it. No row predicts from a token that is not there.
struct NextN {
    std::int64_t block = 0;  ///< in names of tensors
    std::int64_t ahead = 1;
    std::vector<Stage> stages{};
    Stage head{};     ///< to `final`
    Value final{};    ///< [hidden], what its output projection takes
    Output output{};  ///< mostly with the trunk's matrix
};

struct Program {
    std::string architecture{};
    std::string name{};  ///< general.name, may be empty
    std::int64_t n_vocab = 0;
    std::int64_t hidden = 0;
    std::int64_t context_length = 0;  ///< the model was trained on
    std::vector<ValueInfo> values{};  ///< by Value::id
    Stage start;                      ///< from tokens
    std::vector<Layer> layers{};
    Stage head;     ///< to `final`
    Value final{};  ///< [hidden], what the output projection takes
    Output output;
    std::vector<NextN> nextn{};  ///< in order, `ahead` from 1
};

}  // namespace assay::model
