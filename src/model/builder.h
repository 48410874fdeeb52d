// Writes a program step by step, with the tensors and numbers of one file at hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/hyperparameters.h"
#include "model/program.h"
#include "model/tensors.h"

namespace assay::model {

struct BuildOptions {
    std::int64_t n_ctx = 512;  ///< tokens of a chunk; some rotary scalings depend on it
    bool nextn = false;        ///< with the blocks that predict further tokens, where they are known
};

/// Steps go to the current stage: that of the start, then of each layer, then of the head, then of each block
/// that predicts ahead and its head. The file is borrowed.
class Builder {
  public:
    Builder(const gguf::File& file, const std::string& architecture, const BuildOptions& options);

    const Hyperparameters& hp() const noexcept { return hp_; }
    Tensors& tensors() noexcept { return tensors_; }
    const Tensors& tensors() const noexcept { return tensors_; }
    const std::string& where() const noexcept { return tensors_.file().where(); }
    std::int64_t n_ctx() const noexcept { return options_.n_ctx; }
    /// Position of a chunk's first row; above 0 in a block that predicts ahead.
    std::int64_t first_position() const noexcept { return std::ssize(program_.nextn); }
    /// Rows of a chunk, from that position on.
    std::int64_t n_rows() const noexcept { return n_ctx() - first_position(); }
    std::int64_t hidden() const noexcept { return hp_.hidden(); }
    /// Rows of token_embd.
    std::int64_t n_vocab() const;
    /// Index of the current layer's tensors.
    std::int64_t layer() const noexcept { return layer_; }

    // --- tensors of the current layer: "attn_q" is "blk.N.attn_q"; before the first layer and in a head
    // "output_norm" is itself.
    std::string name_of(std::string_view name) const;
    /// Whether "<name>.weight" exists.
    bool has(std::string_view name) const;
    Linear linear(std::string_view name, std::int64_t n_in, std::int64_t n_out, std::int64_t n_matrices = 1);
    /// Without bias, and whatever "<name>.scale" is.
    Linear plain_linear(std::string_view name, std::int64_t n_in, std::int64_t n_out);
    /// The kind and epsilon of norms that norm() makes. Reads the kind's epsilon from metadata, which may
    /// lack an optional one: 0 then.
    void use_norms(NormKind kind, bool optional_epsilon = false);
    NormKind norm_kind() const noexcept { return norm_kind_; }
    float eps() const noexcept { return eps_; }
    Norm norm(std::string_view name, std::int64_t size);
    Norm norm(std::string_view name) { return norm(name, hidden()); }
    /// Without weights.
    Norm plain_norm(NormKind kind) const { return {kind, {}, {}, eps_}; }
    /// The tensor as it is called ("ssm_a", "attn_sinks.weight"), `size` numbers.
    Vector vector(std::string_view name, std::int64_t size);
    Vector optional_vector(std::string_view name, std::int64_t size);
    /// Numbers computed from metadata; `name` tells them apart within the model.
    static Vector constant(std::string name, std::vector<float> values);

    // --- steps
    /// A value whose columns several steps will write.
    Value declare(std::int64_t cols, std::string_view name);
    /// Any operation with a new result of so many columns.
    Value emit(Operation operation, std::int64_t cols, std::string_view name);
    /// An operation that updates `out`.
    void emit_into(Operation operation, Value out);
    Value normalise(Value x, Norm norm, std::string_view name, std::int64_t n_slices = 1);
    Value product(Value x, std::vector<Linear> linears, std::string_view name);
    /// In f32 whatever the precision.
    Value precise_product(Value x, Linear linear, std::string_view name);
    /// residual += linear x
    void add_product(Value x, Linear linear, Value residual);
    /// residual += scale * norm(x)
    void add(Value x, Norm norm, float scale, Value residual);
    Value chain(Value x, std::vector<Link> links, std::string_view name);
    /// Columns [first, first + count) of each of n_heads heads of x.
    Value heads(Value x, std::int64_t n_heads, std::int64_t first, std::int64_t count, std::string_view name);

    // --- frame
    /// Hidden states from token_embd, times scale.
    Value embed(float scale = 1);
    /// The token's row of a table with one for each token; `table` as name_of() gives it, "token_embd".
    Value lookup(const std::string& table, float scale, std::string_view name);
    /// The next layer, which reads and writes `residual`.
    void begin_layer(Value residual) { begin_layer(residual, layer_ + 1); }
    /// A layer with the tensors of `block`, which other layers may have too.
    void begin_layer(Value residual, std::int64_t block);
    /// What the layer's products took so far is not its input: that of the next one is.
    void defer_input() { program_.layers.back().input = {}; }
    /// The current layer hands on `residual` in place of the one that it began with.
    void leave_layer(Value residual);
    /// Further steps come after all rows of a wave went through those before.
    void next_stage();
    /// The input of the layer's feed-forward is known. The first call counts.
    void mark_ffn_input(Value x);
    /// After the last layer.
    void begin_head();
    /// Final norm and projection with output.weight, or the embedding where the file has none.
    void finish(Value residual);
    void finish_normed(Value final);
    void scale_logits(float scale, float soft_cap);
    /// What the output projection takes.
    Value final() const noexcept { return program_.final; }

    // --- behind the head
    /// Blocks that are asked for and that the file has.
    std::int64_t n_nextn() const;
    /// The next of them. Its logits are made as the trunk's.
    void begin_nextn();
    /// `head`: its own output matrix; absent: the trunk's.
    void finish_nextn(Value final, Linear head);
    /// output.bias, where the file has it, does not apply.
    void drop_output_bias() { program_.output.linear.bias = {}; }

    /// What was written. The builder is done.
    Program take() { return std::move(program_); }

  private:
    Stage& stage();
    /// The layer that steps go to; null in other parts.
    Layer* current_layer();

    BuildOptions options_;
    Hyperparameters hp_;
    Tensors tensors_;
    Program program_;
    NormKind norm_kind_ = NormKind::Rms;
    float eps_ = 0;
    std::int64_t layer_ = -1;
    bool in_head_ = false;
};

// Links of a chain.
Link apply(Activation activation);
Link affine(float factor, float offset = 0);
Link clamp(float low, float high);
Link times(Value value);
Link times(Vector vector);
Link plus(Value value);
Link plus(Vector vector);
Link minus(Value value);

}  // namespace assay::model
