// Everything that follows from a program before it runs, by one walk over it: where values live and in which
// form, what is observed, which pieces of weights are loaded in which order, what all that takes. Pure:
// nothing is read, prepared or allocated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "core/kinds.h"
#include "gguf/file.h"
#include "gguf/tensor_bytes.h"
#include "model/program.h"

namespace assay::plan {

struct PassOptions {
    std::int64_t n_ctx = 512;  ///< tokens of a chunk
    /// Chunks may be shorter, and all of their tokens may be scored, not just those of the second half.
    bool unequal = false;
    /// Name of the output matrix when its input is to be collected; empty: it is not.
    std::string observed_output;
    bool losses = true;
    bool similarity = false;
    bool sums = true;  ///< of the inputs of products
    /// Products behind the layers are observed too, the output projection aside.
    bool observe_head = false;
    /// By the weight of a norm: the name under which its result is summed beside those that take it.
    std::map<std::string, std::string> observed_norms{};
};

/// Parcels of sums that may be under way whatever their size: one is received while others travel.
inline constexpr std::size_t kFewParcels = 4;
/// Chunks of a group have so many rows on average, or there are fewer of them: each has sums of its own.
inline constexpr std::int64_t kLeastChunkRows = 32;

/// What a value is stored as.
enum class Form : std::uint8_t {
    Plain,    ///< numbers, f32 or activations
    Operand,  ///< rounded to what products take
};

/// One action of a stage on a group of chunks.
struct Instruction {
    enum class Kind : std::uint8_t {
        Step,     ///< of the program
        Observe,  ///< x as the input of products that no step produces; or copied
        Compare,  ///< similarity of x and y
    };
    Kind kind = Kind::Step;
    std::size_t step = 0;  ///< index within the stage
    model::Value x{};
    model::Value y{};  ///< Observe: the copy, or absent
    // What a step or an observation leaves as the input of products.
    bool operand = false;
    bool plain = false;
    std::vector<std::string> observed{};  ///< weights that take it
    // Compare.
    SimilarityKind similarity = SimilarityKind::Layer;
    std::int64_t layer = 0;
};

/// Where a value is while its stage runs: columns of the group's arena. Of values that live longer see
/// PassPlan::Slot.
struct Local {
    model::Value value{};
    Form form = Form::Plain;
    backend::DType type = backend::DType::F32;
    std::int64_t offset_bytes = 0;  ///< times the rows of a group
};

struct StagePlan {
    const model::Stage* stage = nullptr;
    std::int64_t layer = -1;  ///< -1: start; the number of layers: head; more: blocks that predict ahead
    bool observed = false;    ///< products outside of layers and blocks are computed and not collected
    std::int64_t ahead = 0;   ///< tokens that its chunks lack at their beginning (model::NextN)
    model::Value leaves{};    ///< by a head: PassPlan::scorings()[ahead].final
    std::vector<Instruction> instructions;
    std::vector<Local> locals;
    std::int64_t bytes_per_row = 0;     ///< of the arena
    std::int64_t observed_columns = 0;  ///< of a chunk's sums
};

/// Weights that are loaded together: all of a stage, or a run of a stage's experts, or of the vocabulary.
struct Piece {
    std::size_t stage = 0;   ///< index; from the number of stages on: the projections
    std::int64_t first = 0;  ///< expert or row
    std::int64_t count = 0;
    std::vector<gguf::TensorRange> reads;  ///< its matrices; smaller tensors are read as they are touched
    std::uint64_t prepared_bytes = 0;      ///< estimate of what it holds
};

/// Memory of a wave that values take one after another.
struct Slot {
    std::int64_t cols = 0;
    backend::DType type = backend::DType::F32;
};

/// What the losses of the trunk (the first), or of the block `ahead`, are computed from.
struct Scoring {
    model::Value final{};
    std::int64_t ahead = 0;      ///< of its rows
    std::size_t projection = 0;  ///< index of PassPlan::projections()
};

class PassPlan {
  public:
    /// File and program are borrowed; of the backend only its kind is asked. Throws Error{Internal} for a
    /// program that contradicts itself.
    PassPlan(const gguf::File& file, const model::Program& program, const backend::Backend& backend,
             const PassOptions& options);

    const gguf::File& file() const noexcept { return file_; }
    const model::Program& program() const noexcept { return program_; }
    const PassOptions& options() const noexcept { return options_; }
    const std::vector<StagePlan>& stages() const noexcept { return stages_; }
    const std::vector<Piece>& pieces() const noexcept { return pieces_; }
    const std::vector<Slot>& slots() const noexcept { return slots_; }
    const std::vector<Scoring>& scorings() const noexcept { return scorings_; }
    /// Different output projections; the trunk's is the first.
    const std::vector<const model::Output*>& projections() const noexcept { return projections_; }
    /// The slot of a value, or -1: it lives within a stage.
    std::int32_t slot_of(std::int32_t value) const noexcept {
        return value_slots_[static_cast<std::size_t>(value)];
    }
    /// Slots whose values are there before a stage and needed by it or after it.
    std::vector<std::int32_t> live_slots(std::size_t stage) const;
    // A group has as many whole chunks as these bounds allow, at least one.
    std::int64_t group_rows() const noexcept { return group_chunks_ * options_.n_ctx; }
    std::int64_t most_group_chunks() const noexcept {
        return options_.unequal ? std::max(group_chunks_, group_rows() / kLeastChunkRows) : group_chunks_;
    }
    /// Steps that progress counts: layers, blocks behind them, and one for the output projections.
    std::int64_t n_steps() const noexcept {
        return std::ssize(program_.layers) + std::ssize(program_.nextn) + 1;
    }
    /// Pieces that are made while one is used.
    std::size_t pieces_ahead() const noexcept { return pieces_ahead_; }

    // Bytes. Activations: per chunk of n_ctx tokens of a wave, and beside the wave.
    std::uint64_t bytes_per_chunk() const noexcept { return chunk_bytes(options_.n_ctx); }
    /// The same of a chunk of so many tokens.
    std::uint64_t chunk_bytes(std::int64_t n_tokens) const noexcept;
    std::uint64_t workspace_bytes() const noexcept;
    /// Sums on their way to the sink; part of workspace_bytes().
    std::uint64_t delivery_bytes() const noexcept;
    /// Prepared weights at any one time, unless they are kept.
    std::uint64_t weight_bytes() const noexcept;
    /// Prepared weights, all of them.
    std::uint64_t all_weight_bytes() const noexcept;
    /// Stored weights that a stream holds at any one time.
    std::uint64_t stream_bytes() const noexcept;
    /// What is read from the file for each wave.
    std::uint64_t read_bytes_per_wave() const noexcept;
    /// Input columns of all observed weights, experts one by one: what the sums are as long as.
    std::uint64_t observed_columns() const noexcept;
    /// The same of their inputs: weights that take the same one have it once.
    std::uint64_t observed_inputs() const noexcept;
    /// Prepared weights at any one time, with the stored bytes of one replacement, when `n_projections` of
    /// the variants change the output projection.
    std::uint64_t variant_weight_bytes(std::int64_t n_projections, double bytes_per_rounded_weight) const;

  private:
    void list_projections();
    std::uint64_t group_sums_bytes() const noexcept;
    std::uint64_t expert_sums_bytes() const noexcept;

    const gguf::File& file_;
    const model::Program& program_;
    PassOptions options_;
    std::int64_t operand_bytes_;
    std::size_t pieces_ahead_;
    std::uint64_t expert_bytes_;
    std::vector<StagePlan> stages_;
    std::vector<Slot> slots_;
    std::vector<std::int32_t> value_slots_;
    /// Stages in which a value is first written and last used.
    std::vector<std::pair<std::size_t, std::size_t>> lifetimes_;
    std::vector<Scoring> scorings_;
    std::vector<const model::Output*> projections_;
    std::vector<const model::Experts*> experts_;  ///< of all stages
    std::vector<Piece> pieces_;
    std::int64_t group_chunks_ = 1;
};

}  // namespace assay::plan
