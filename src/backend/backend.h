// The operations of a pass, and where their memory is: the seam between the engine and a kind of device.
//
// The engine holds the residual stream of a wave and calls these operations on runs of whole chunks. Results
// must not depend on how many chunks a call has, nor on the number of threads. Operations of one backend are
// called from one thread, in order, and may return before they are done; download() and synchronize() wait.
// prepare() and upload() may be called from another thread meanwhile, and so may what a Landing does.
//
// Where a device has memory of its own and it runs out, operations throw Error{DeviceMemory}: the caller can
// ask for less.
//
// A common pattern: an operation *produces the input of a product*. It then leaves the input rounded to the
// product's type (the operand), and sums of it per chunk, taken before the rounding. Fused producers exist
// for the common cases; observe() is the general one, so that a new mixer can start from plain f32
// operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/rows.h"
#include "core/exact_sum.h"
#include "core/kinds.h"
#include "quant/type_table.h"

namespace assay::backend {

enum class DType : std::uint8_t { F32, Bf16 };

constexpr std::int64_t size_of(DType type) noexcept { return type == DType::F32 ? 4 : 2; }

/// A matrix in backend memory, row-major, not owned. `stride` is in elements.
struct View {
    void* data = nullptr;
    DType dtype = DType::F32;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;

    bool present() const noexcept { return data != nullptr; }
    std::byte* at(std::int64_t row, std::int64_t col) const noexcept {
        return static_cast<std::byte*>(data) + (row * stride + col) * size_of(dtype);
    }
    View row_range(std::int64_t first, std::int64_t count) const noexcept {
        return {at(first, 0), dtype, count, cols, stride};
    }
    View col_range(std::int64_t first, std::int64_t count) const noexcept {
        return {at(0, first), dtype, rows, count, stride};
    }
    float* row_f32(std::int64_t row) const noexcept { return reinterpret_cast<float*>(at(row, 0)); }
};

/// Per chunk and column: sums over the chunk's rows of w x^2 and of w x, where w is what a row counts (Rows).
/// Backend memory, [n_chunks, cols] each, f32, written (not added to). Null: not wanted.
struct Sums {
    float* squares = nullptr;
    float* plain = nullptr;
};

/// Where an operation leaves the input of the products that follow.
struct Produced {
    View operand;  ///< [rows, cols] in operand_dtype(); absent where only sums are wanted
    View plain;    ///< [rows, cols] f32, before rounding; may be absent
    Sums sums;
};

/// Owned backend memory, at least 64-byte aligned. Freed with the object.
class Buffer {
  public:
    virtual ~Buffer() = default;
    std::byte* data() const noexcept { return data_; }
    float* f32() const noexcept { return reinterpret_cast<float*>(data_); }
    std::size_t size_bytes() const noexcept { return size_bytes_; }

  protected:
    std::byte* data_ = nullptr;
    std::size_t size_bytes_ = 0;
};
using BufferPtr = std::unique_ptr<Buffer>;

/// Where sums of many chunks are added up, in any order, host memory. Empty: not wanted.
struct Totals {
    ExactSums squares;
    ExactSums plain;
    std::mutex* guard = nullptr;  ///< held while something is added; null: nobody else adds here
};

/// The way of one result to the host, beside the operations that follow.
class Landing {
  public:
    virtual ~Landing() = default;
    /// The result is what the operations so far leave. From their thread.
    virtual void mark() = 0;

    // What follows waits for those operations, and may be called from another thread.

    /// The bytes at `from` in backend memory, until the next call. Where that is the host's these are the
    /// bytes themselves: nothing may write there until the caller is done with them.
    virtual std::span<const std::byte> fetch(const void* from, std::size_t bytes) = 0;
    /// Adds to each total the sums of its column. `sums` [n_chunks, columns] both present, in backend memory.
    /// Returns the first chunk with a wanted sum that is not finite. Others who add to the same totals do not
    /// wait for the operations that lead to these sums.
    virtual std::optional<std::int64_t> add_chunks(const Sums& sums, std::int64_t n_chunks,
                                                   const Totals& totals) = 0;
};
using LandingPtr = std::unique_ptr<Landing>;

/// A matrix as a file stores it: n_out rows of n_in weights, each multiplied by `scale`.
struct WeightSource {
    const quant::TypeInfo* type = nullptr;
    std::span<const std::byte> bytes;
    std::int64_t n_in = 0;
    std::int64_t n_out = 0;
    float scale = 1;
};

/// Matrices decoded and laid out for products. Immutable.
class Matrix {
  public:
    virtual ~Matrix() = default;
    virtual std::int64_t n_in() const noexcept = 0;
    virtual std::int64_t n_out() const noexcept = 0;
    virtual std::size_t size_bytes() const noexcept = 0;
};
using MatrixPtr = std::shared_ptr<const Matrix>;

/// weight and bias f32 in backend memory; null: 1 and 0. Each of n_slices equal slices of the columns is
/// normalised by itself.
struct Norm {
    NormKind kind = NormKind::None;
    const float* weight = nullptr;  ///< [cols]; repeats: [cols / n_slices], the same for every slice
    const float* bias = nullptr;
    float eps = 0;
    std::int64_t n_slices = 1;
    bool repeats = false;
};

/// frequencies [n_rot/2] f32 in backend memory: radians per position.
struct Rope {
    Pairing pairing = Pairing::Adjacent;
    const float* frequencies = nullptr;
    std::int64_t n_rot = 0;  ///< 0: no rotation
    float magnitude = 1;
    std::int64_t first = 0;  ///< components [first, first + n_rot) of a head turn
    bool backwards = false;  ///< by the negative angle
};

/// Columns [first, first + count) of each head go to [out_first, out_first + count) of each head of another
/// value.
struct HeadColumns {
    std::int64_t n_heads = 1;
    std::int64_t first = 0;
    std::int64_t count = 0;
    std::int64_t out_first = 0;
    bool spread = false;  ///< there is one head, which every head of out takes
};

struct AttentionArgs {
    View q;  ///< [rows, n_heads * head_dim] activations
    View k;  ///< [rows, n_kv_heads * head_dim]
    View v;  ///< [rows, n_kv_heads * value_dim]
    std::int64_t n_heads = 0;
    std::int64_t n_kv_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t value_dim = 0;
    float scale = 1;
    float soft_cap = 0;       ///< 0: none
    bool causal = true;       ///< a query sees no later position
    std::int64_t window = 0;  ///< 0: none
    WindowKind window_kind = WindowKind::Sliding;
    const float* query_scale = nullptr;  ///< [chunk_tokens] factor of the scores by query position; null: 1
    const float* sinks = nullptr;   ///< [n_heads] a score beside the keys' that carries no value; null: none
    const float* slopes = nullptr;  ///< [n_heads] ALiBi: score -= slope * |p - r|; null: none
    // Keys and values of whole blocks, beside those of tokens, and what an indexer chose; causal only,
    // without cap and slopes.
    View block_k;  ///< [rows, n_kv_heads * head_dim]: a block's in the row of its first token; absent: none
    View block_v;  ///< [rows, n_kv_heads * value_dim]
    std::int64_t block_tokens = 0;  ///< a query sees the blocks that end at its position or before
    /// [rows, n] f32, 0 hides: blocks of block_k, or without those runs of chosen_tokens tokens. Absent: all
    /// are seen.
    View chosen;
    std::int64_t chosen_tokens = 1;
};

/// Depthwise causal convolution within each chunk, 0 before its first row:
///   out[t][c] = act(sum_j weight[c][j] x[t - (kernel - 1 - j) dilation][c] + bias[c]), [rows, cols] f32
struct ConvolveArgs {
    View x;                         ///< [rows, cols] f32
    const float* weight = nullptr;  ///< [cols, kernel]
    const float* bias = nullptr;    ///< [cols], or null: 0
    std::int64_t kernel = 0;
    std::int64_t dilation = 1;
    Activation activation = Activation::Identity;
};

/// Block j of a chunk: its tokens from j * block_tokens on. Only complete blocks count.
///   out [rows, cols] f32: in the row of a block's first token, of each column the mean of x over the block
///   weighted by softmax(gate + bias) over it; 0 in other rows.
struct PoolArgs {
    View x;                       ///< [rows, cols] f32; overlapping: [rows, 2 cols]
    View gate;                    ///< as x; absent: 0
    const float* bias = nullptr;  ///< [block_tokens, columns of x]; null: 0
    std::int64_t block_tokens = 0;
    /// A block takes the second half of its own columns and the first half of those of the block before.
    bool overlapping = false;
};

/// Which blocks a query sees: of those that are complete at its position the n_chosen with the largest
/// sum_h weight_h max(0, q_h . k), all where there are no more. Where only some of several equal scores fit
/// in, which of them is not said.
///   out [rows, ceil(chunk_tokens / block_tokens)] f32: 1 or 0.
struct SelectArgs {
    View q;        ///< [rows, n_heads * head_dim] f32
    View k;        ///< [rows, head_dim] f32: a block's in the row of its first token
    View weights;  ///< [rows, n_heads] f32; absent: 1
    std::int64_t n_heads = 0;
    std::int64_t block_tokens = 1;
    std::int64_t n_chosen = 0;
    bool tail = false;  ///< the block that is not complete is seen too
};

/// model::Router as a backend sees it. Pointers are f32 in backend memory.
struct RouteArgs {
    std::int64_t n_used = 0;
    Gating gating = Gating::Softmax;
    bool normalise = false;  ///< weights of the chosen are divided by max(their sum, 2^-14)
    float weight_scale = 1;
    const float* selection_bias = nullptr;  ///< [logits.cols], for the choice only; null: 0
    bool select_logits = false;             ///< the choice is by logit + bias instead of gated score + bias
    std::int64_t n_groups = 1;              ///< consecutive groups of equal size
    std::int64_t n_groups_used =
        1;  ///< those with the largest sum of their two best scores; ties: the lower index
    /// Experts of each row, host memory, [rows, n_used], instead of by score; empty: by score.
    std::span<const std::int32_t> chosen;
    /// So many consecutive logits stand for one expert: whoever chooses logit i goes to expert i /
    /// logits_per_expert, once for each choice, with the score of the logit of the expert's own number (as
    /// llama.cpp has it for grovemoe).
    std::int64_t logits_per_expert = 1;
};

// What row operations of mixers take at most; more is refused.
inline constexpr std::int64_t kMaxKeyDim = 256;  ///< of a scan
inline constexpr std::int64_t kMaxStates = 256;  ///< of a selective scan
inline constexpr std::int64_t kMaxTaps = 16;     ///< of a convolution
inline constexpr std::int64_t kMaxStreams = 8;   ///< that a mix leaves, and sinkhorn's n
inline constexpr std::int64_t kMaxLinks = 16;    ///< of a chain: it is the argument of one kernel

/// Linear attention with a state for each head of a chunk: ScanKind. All views f32. Head h reads key head
/// h / (n_heads / n_key_heads), interleaved: h % n_key_heads.
struct ScanArgs {
    ScanKind kind = ScanKind::Gated;
    View q, k;                              ///< [rows, n_key_heads * key_dim]
    View v;                                 ///< [rows, n_heads * value_dim]
    View decay;                             ///< [rows, n_heads] or [rows, n_heads * key_dim]
    const float* constant_decay = nullptr;  ///< [n_heads], where `decay` is absent
    View beta;                              ///< Delta: [rows, n_heads]
    View a, b;                              ///< Rank1: [rows, n_heads * key_dim]
    const float* bonus = nullptr;           ///< Bonus: [n_heads * key_dim]
    std::int64_t n_heads = 0;
    std::int64_t n_key_heads = 0;
    std::int64_t key_dim = 0;
    std::int64_t value_dim = 0;
    bool interleaved = false;
    float scale = 1;  ///< of what leaves
};

/// S[c][n] = exp(dt[c] a[c][n]) S[c][n] + dt[c] x[c] b[n]; out[c] = sum_n S[c][n] c[n] + d[c] x[c].
struct SelectiveScanArgs {
    View x, dt;                ///< [rows, channels] f32
    View b, c;                 ///< [rows, n_state] f32
    const float* a = nullptr;  ///< [channels, n_state]
    const float* d = nullptr;  ///< [channels]
};

/// One link of a chain.
struct Link {
    LinkKind kind = LinkKind::Apply;
    Activation activation = Activation::Identity;
    float a = 1;  ///< Affine: acc * a + b; Clamp: to [a, b]
    float b = 0;
    // The operand of Times, Plus and Minus: a view [rows, n] f32 or activations, or a vector [n], where n
    // divides the width.
    View view;
    const float* vector = nullptr;
    std::int64_t n = 0;
    bool tiled = false;     ///< column c takes operand c % n, not c / (width / n)
    bool previous = false;  ///< the view's row before; 0 at the first row of a chunk
};

/// Which experts the rows of a call go to. Backends derive their own form.
class Routing {
  public:
    virtual ~Routing() = default;
    /// What the (row, slot) pairs of chunk `chunk` that chose `expert` count together.
    virtual double count(std::int64_t chunk, std::int64_t expert) const = 0;
};
using RoutingPtr = std::unique_ptr<Routing>;

/// Consecutive experts `first`, first + 1, ... whose matrices are at hand.
struct ExpertBatch {
    std::int64_t first = 0;
    std::span<const MatrixPtr> gate_up;   ///< per expert: gate rows, then up rows; without a gate up rows
    std::span<const MatrixPtr> down;      ///< empty: act(up) is weighted and added
    const float* gate_up_bias = nullptr;  ///< [batch, n_out of gate_up] f32 in backend memory; null: 0
    const float* down_bias = nullptr;     ///< [batch, n_out of down]
    bool gated = true;                    ///< false: act(up)
    GateFunction function;
    bool weigh_input = false;  ///< x is multiplied with the expert's weight, and the result is not
    /// Sums of the inputs of each expert's products, [n_chunks, batch, cols].
    Sums input_sums;
    Sums down_sums;
};

/// Output distributions of rows over panels of the vocabulary one after another: the model's, and those of
/// variants of it against them. Backends derive the state (per row and side: maximum, sum of exponentials
/// relative to it, logit of the target; per variant the sum of exp(a) (a - b)).
class ScoreState {
  public:
    virtual ~ScoreState() = default;
};
using ScoreStatePtr = std::unique_ptr<ScoreState>;

/// One side of a panel: logits x W^T + bias, x [rows, hidden] operand. All panels of a call have one shape.
struct ScoredSide {
    View x;
    const Matrix* panel = nullptr;
    const float* bias = nullptr;  ///< [n_out], backend memory; null: 0
};

/// What becomes of a panel's logits: soft_cap(scale * logit), vocabulary entries from `first` on.
struct Logits {
    std::int64_t first = 0;
    float scale = 1;
    float soft_cap = 0;
};

/// Of one row, in nats; all 0 and false for a row without target.
struct Divergence {
    double reference_loss = 0;  ///< -log softmax(a)[target]
    double loss = 0;            ///< -log softmax(b)[target]
    double divergence = 0;      ///< KL(softmax(a) || softmax(b))
    bool same_top = false;      ///< both largest logits are of one entry; of equal ones the first counts
};

struct Scores {
    std::vector<double> losses;                     ///< -log softmax(a)[target], in row order
    std::vector<std::vector<Divergence>> variants;  ///< each in row order
};

class Backend {
  public:
    virtual ~Backend() = default;

    /// "cpu (avx512bf16, bf16 products, 2 threads)"
    virtual std::string description() const = 0;
    /// "cpu (avx512bf16 kernels, bf16 products)": backends that say the same give the same bits.
    virtual std::string arithmetic() const = 0;
    /// The type that products take their input in.
    virtual DType operand_dtype() const noexcept = 0;
    /// The type of products' results between operations (never of the residual stream, which is f32).
    virtual DType activation_dtype() const noexcept = 0;
    /// Rows that make one call efficient; the engine gathers whole chunks up to about this many.
    virtual std::int64_t preferred_rows() const noexcept = 0;

    // --- memory
    /// Whether operations take memory of the host's, so that a caller may bring its own.
    virtual bool uses_host_memory() const noexcept = 0;
    /// Bytes that buffers and matrices may still take of the device's own memory, beside what operations need
    /// for themselves. Nothing where backend memory is the host's.
    virtual std::optional<std::uint64_t> room_bytes() const { return std::nullopt; }
    /// The host's memory that experts() takes for itself, at most.
    virtual std::uint64_t expert_bytes() const noexcept { return 0; }
    virtual BufferPtr allocate(std::size_t bytes) = 0;
    virtual BufferPtr upload(std::span<const float> values) = 0;
    /// Copies to the host and waits for everything before it.
    virtual void download(const void* from, std::span<std::byte> to) = 0;
    /// Brings bytes of the host's to existing memory, in its place among the operations; `from` may change
    /// after the call.
    virtual void replace(void* to, std::span<const std::byte> from) = 0;
    virtual LandingPtr make_landing() = 0;
    /// Of rows for operations of this backend.
    virtual RowTablePtr lay_out(std::span<const std::int64_t> starts, std::span<const float> weights) {
        return std::make_shared<const RowTable>(starts, weights);
    }
    virtual void synchronize() = 0;

    // --- weights
    /// One matrix whose outputs are those of `stacked` side by side; all have the same n_in.
    /// Its products take inputs of type `operand`: F32 where rounding would decide something (routing).
    virtual MatrixPtr prepare(std::span<const WeightSource> stacked, DType operand) = 0;
    MatrixPtr prepare(std::span<const WeightSource> stacked) { return prepare(stacked, operand_dtype()); }

    // --- operations
    /// out [tokens, hidden] f32 = rows of the table times scale. Throws Error{BadFile} for a token without
    /// row.
    /// `first`: out [tokens, cols] takes columns [first, first + cols) of a row.
    virtual void embed(const WeightSource& table, std::span<const std::int32_t> tokens, float scale,
                       std::int64_t first, View out) = 0;

    /// x [rows, cols] f32 or activations, as it is.
    virtual void observe(View x, Rows rows, const Produced& out) = 0;

    /// x [rows, cols] f32 normalised.
    virtual void norm(View x, const Norm& norm, Rows rows, const Produced& out) = 0;

    /// out [rows, n_out] = x W^T (+ bias [n_out]); with accumulate, added to out. x is an operand; out
    /// activations or f32. Rows beyond the view are never written.
    virtual void linear(View x, const Matrix& w, const float* bias, bool accumulate, View out) = 0;

    /// Per head of x [rows, n_heads * head_dim] activations or f32, in place: normalise, then rotate;
    /// norm_last: rotate, then normalise. norm.n_slices is n_heads. Without rotation any head_dim.
    virtual void rotate_heads(View x, std::int64_t n_heads, const Norm& norm, bool norm_last,
                              const Rope& rope, Rows rows) = 0;

    /// x [rows, n_heads * width] to out [rows, n_heads * out width], whose other columns stay. f32 or
    /// activations on either side.
    virtual void copy_heads(View x, const HeadColumns& heads, View out) = 0;

    /// Softmax attention within each chunk; what leaves is [rows, n_heads * value_dim].
    virtual void attention(const AttentionArgs& args, Rows rows, const Produced& out) = 0;

    /// What leaves is function(gate, up) of x W^T + bias [2 * ffn]. gate_up has the gate's ffn rows, then
    /// those of up.
    virtual void gated_linear(View x, const Matrix& gate_up, const float* bias, const GateFunction& function,
                              Rows rows, const Produced& out) = 0;

    /// residual [rows, cols] f32 += scale * norm(x); x f32. norm may be None.
    virtual void add(View x, const Norm& norm, float scale, View residual) = 0;

    // --- row operations of mixers other than attention. Inputs are f32; in `out`, `plain` may be f32 or
    // activations.

    /// out [rows, cols] f32.
    virtual void convolve(const ConvolveArgs& args, Rows rows, View out) = 0;

    /// out [rows, n_heads * value_dim] f32.
    virtual void scan(const ScanArgs& args, Rows rows, View out) = 0;

    /// out [rows, channels] f32.
    virtual void selective_scan(const SelectiveScanArgs& args, Rows rows, View out) = 0;

    /// x [rows, cols] f32 or activations through the links, element by element.
    virtual void chain(View x, std::span<const Link> links, Rows rows, const Produced& out) = 0;

    /// out [rows, n_out * w] f32 (+)= per row, stream j: sum_i coefficients[j * n_in + i] x_i, with x
    /// [rows, n_in * w] and coefficients [rows, n_out * n_in]. out does not alias x.
    virtual void mix(View x, View coefficients, std::int64_t n_in, std::int64_t n_out, bool accumulate,
                     View out) = 0;

    /// out [rows, n_slices] f32.
    virtual void reduce(View x, Reduction kind, std::int64_t n_slices, View out) = 0;

    /// out [rows, cols] f32: softmax over each of n_slices slices of x.
    virtual void softmax(View x, std::int64_t n_slices, View out) = 0;

    /// out [rows, n * n] f32 of x [rows, n * n], as model::Sinkhorn says. n at most 8.
    virtual void sinkhorn(View x, std::int64_t n, std::int64_t iterations, float eps, View out) = 0;

    /// out [rows, cols] f32
    virtual void pool(const PoolArgs& args, Rows rows, View out) = 0;

    /// out [rows, blocks of the longest chunk, or more] f32
    virtual void select(const SelectArgs& args, Rows rows, View out) = 0;

    /// out [rows, cols] = 0
    virtual void clear(View out) = 0;

    // --- experts
    /// logits [rows, n_experts * logits_per_expert] f32.
    virtual RoutingPtr route(View logits, const RouteArgs& args, Rows rows) = 0;

    /// out [rows, hidden] f32 += for each row and each of its experts in the batch: weight * down(act(gate) *
    /// up). x [rows, hidden] f32, not rounded. Batches come in increasing order of expert.
    virtual void experts(View x, const Routing& routing, const ExpertBatch& batch, Rows rows, View out) = 0;

    /// Scores of rows whose target is >= 0. targets [rows], host memory.
    virtual ScoreStatePtr begin_scores(std::span<const std::int32_t> targets, std::size_t n_variants) = 0;
    /// One panel of the vocabulary: the model's side a, then a side b of each variant. One sweep, since with
    /// running maxima
    ///   KL = sum_i p_i (a_i - b_i) - (log sum exp(a) - log sum exp(b)),  p = softmax(a).
    /// Both sides take the same steps, so that equal logits give exactly 0.
    virtual void add_scores(ScoreState& state, std::span<const ScoredSide> sides, const Logits& logits) = 0;
    virtual Scores finish_scores(ScoreState& state) = 0;

    /// out [rows, 3] f64 in backend memory: a.a, b.b and a.b of each row; a, b [rows, cols] f32.
    virtual void row_products(View a, View b, double* out) = 0;
};

}  // namespace assay::backend
