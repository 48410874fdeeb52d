#include "engine/plan.h"

#include <algorithm>

#include "engine/delivery.h"
#include "engine/value_walk.h"
#include "engine/weight_stream.h"
#include "model/visit.h"

namespace assay::engine {

namespace {

/// Prepared experts that wait for the ones in use.
constexpr std::uint64_t kExpertBatchBytes = std::uint64_t{128} << 20;
/// A column's sums: of squares and of values.
constexpr std::int64_t kSumsBytes = 2 * sizeof(float);
/// Sums under way to the sink: enough groups of chunks to ride out a sink that is slow for a moment.
constexpr std::uint64_t kDeliveredGroups = 4;
constexpr std::uint64_t kMostDeliveryBytes = std::uint64_t{32} << 20;
constexpr std::uint64_t kVocabularyPanelBytes = std::uint64_t{64} << 20;
constexpr std::uint64_t kLeastStreamBytes = std::uint64_t{64} << 20;
/// Values of a group: wide ones make groups smaller.
constexpr std::int64_t kArenaBytes = std::int64_t{1} << 30;

/// The most that `n` neighbours in the order of use have together.
template <typename Size>
std::uint64_t largest_run(const std::vector<Piece>& pieces, std::size_t n, Size size) {
    std::uint64_t largest = 0;
    std::uint64_t run = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        run += size(pieces[i]);
        if (i >= n) run -= size(pieces[i - n]);
        largest = std::max(largest, run);
    }
    return largest;
}

std::uint64_t read_bytes(const Piece& piece) {
    std::uint64_t total = 0;
    for (const TensorRange& range : piece.reads) total += range.size_bytes;
    return total;
}

/// Lists the pieces of a program in the order of use.
class Pieces {
  public:
    Pieces(const gguf::File& file, std::int64_t operand_bytes) : file_(file), operand_bytes_(operand_bytes) {}

    void add_stage(std::size_t index, const model::Stage& stage) {
        if (const model::Experts* experts = stage.experts()) return add_experts(index, *experts);
        Piece piece{index, 0, 0, {}, 0};
        bool needed = false;
        for (const model::Step& step : stage.steps) {
            for (const model::Linear* linear : model::linears(step.operation))
                add(piece, linear->weight, 0, linear->weight.n_matrices * linear->weight.n_out);
            for (const model::Vector* vector : model::vectors(step.operation))
                needed = needed || vector->present();
        }
        if (needed || !piece.reads.empty()) pieces.push_back(std::move(piece));
    }

    void add_vocabulary(std::size_t index, const model::Weight& weight) {
        const auto row = static_cast<std::uint64_t>(weight.n_in * operand_bytes_);
        constexpr std::uint64_t kStep = 512;
        const auto panel =
            static_cast<std::int64_t>(std::max(kStep, kVocabularyPanelBytes / row / kStep * kStep));
        for (std::int64_t first = 0; first < weight.n_out; first += panel) {
            Piece piece{index, first, std::min(panel, weight.n_out - first), {}, 0};
            add(piece, weight, first, piece.count);
            pieces.push_back(std::move(piece));
        }
    }

    std::vector<Piece> pieces{};

  private:
    void add_experts(std::size_t index, const model::Experts& experts) {
        std::uint64_t each = 0;
        const model::Linear* const all[] = {&experts.gate, &experts.up, &experts.down};
        for (const model::Linear* linear : all)
            each += static_cast<std::uint64_t>(linear->weight.n_in * linear->weight.n_out * operand_bytes_);
        const std::int64_t n = experts.router.n_experts;
        const std::int64_t batch =
            std::clamp<std::int64_t>(static_cast<std::int64_t>(kExpertBatchBytes / each), 1, n);
        for (std::int64_t first = 0; first < n; first += batch) {
            Piece piece{index, first, std::min(batch, n - first), {}, 0};
            for (const model::Linear* linear : all)
                if (linear->present())
                    add(piece, linear->weight, first * linear->weight.n_out,
                        piece.count * linear->weight.n_out);
            pieces.push_back(std::move(piece));
        }
    }

    void add(Piece& piece, const model::Weight& weight, std::int64_t first_row, std::int64_t n_rows) const {
        const gguf::Tensor& tensor = file_.get(weight.name);
        piece.reads.push_back({&tensor, static_cast<std::uint64_t>(first_row) * tensor.row_bytes(),
                               static_cast<std::uint64_t>(n_rows) * tensor.row_bytes()});
        piece.prepared_bytes += static_cast<std::uint64_t>(weight.n_in * n_rows * operand_bytes_);
    }

    const gguf::File& file_;
    const std::int64_t operand_bytes_;
};

}  // namespace

PassPlan::PassPlan(const gguf::File& file, const model::Program& program, const backend::Backend& backend,
                   const PassOptions& options)
    : file_(file),
      program_(program),
      options_(options),
      operand_bytes_(backend::size_of(backend.operand_dtype())),
      // Bringing weights to a device and computing take turns at being the slower one, since stages differ:
      // two ahead even that out. Preparing in host memory competes with computing anyway.
      pieces_ahead_(backend.uses_host_memory() ? 1 : 2) {
    WalkedValues walked =
        walk_values(program, {backend.operand_dtype(), backend.activation_dtype()}, options_);
    stages_ = std::move(walked.stages);
    slots_ = std::move(walked.slots);
    value_slots_ = std::move(walked.slot_of);
    lifetimes_ = std::move(walked.lifetimes);
    Pieces pieces(file, operand_bytes_);
    for (std::size_t s = 0; s < stages_.size(); ++s) pieces.add_stage(s, *stages_[s].stage);
    if (options_.losses) pieces.add_vocabulary(stages_.size(), program.output.linear.weight);
    pieces_ = std::move(pieces.pieces);
    std::int64_t widest = 1;
    for (const StagePlan& stage : stages_) widest = std::max(widest, stage.bytes_per_row);
    const std::int64_t chunk_bytes = widest * options_.n_ctx;
    group_chunks_ = std::clamp<std::int64_t>(backend.preferred_rows() / options_.n_ctx, 1,
                                             std::max<std::int64_t>(1, kArenaBytes / chunk_bytes));
}

std::vector<std::int32_t> PassPlan::live_slots(std::size_t stage) const {
    std::vector<std::int32_t> live;
    for (std::size_t v = 0; v < lifetimes_.size(); ++v)
        if (value_slots_[v] >= 0 && lifetimes_[v].first < stage && lifetimes_[v].second >= stage)
            live.push_back(value_slots_[v]);
    return live;
}

std::uint64_t PassPlan::bytes_per_chunk() const noexcept {
    std::int64_t per_row = 0;
    for (const Slot& slot : slots_) per_row += slot.cols * backend::size_of(slot.type);
    if (options_.losses) per_row += program_.final.cols * operand_bytes_ / 2;
    return static_cast<std::uint64_t>(per_row * options_.n_ctx) + expert_sums_bytes();
}

std::uint64_t PassPlan::group_sums_bytes() const noexcept {
    std::int64_t most = 0;
    for (const StagePlan& stage : stages_) most = std::max(most, stage.observed_columns);
    return static_cast<std::uint64_t>(most * kSumsBytes * group_chunks_);
}

std::uint64_t PassPlan::waiting_bytes_per_chunk() const noexcept {
    std::int64_t most = 0;
    for (const model::Layer& layer : program_.layers) {
        std::int64_t columns = 0;
        for (const StagePlan& stage : stages_)
            if (stage.layer == layer.index) columns += stage.observed_columns;
        most = std::max(most, columns);
    }
    return static_cast<std::uint64_t>(most * kSumsBytes);
}

std::uint64_t PassPlan::delivery_bytes() const noexcept {
    return std::min(kMostDeliveryBytes, kDeliveredGroups * group_sums_bytes());
}

std::uint64_t PassPlan::workspace_bytes() const noexcept {
    std::int64_t widest = 0;
    for (const StagePlan& stage : stages_) widest = std::max(widest, stage.bytes_per_row);
    return static_cast<std::uint64_t>(widest * group_chunks_ * options_.n_ctx) + group_sums_bytes() +
           delivery_bytes();
}

/// A batch of experts leaves two parcels of sums for every chunk of the wave, and those of the batches before
/// it may still be under way.
std::uint64_t PassPlan::expert_sums_bytes() const noexcept {
    std::int64_t most = 0;
    for (const Piece& piece : pieces_) {
        if (piece.stage == stages_.size()) continue;
        if (const model::Experts* experts = stages_[piece.stage].stage->experts())
            most = std::max(most, piece.count * (experts->up.weight.n_in + experts->down.weight.n_in));
    }
    constexpr std::int64_t kBatches = 1 + Delivery::kFewItems / 2;
    return static_cast<std::uint64_t>(kBatches * most * kSumsBytes);
}

std::uint64_t PassPlan::weight_bytes() const noexcept {
    return largest_run(pieces_, 1 + pieces_ahead_, [](const Piece& piece) { return piece.prepared_bytes; });
}

std::uint64_t PassPlan::all_weight_bytes() const noexcept {
    std::uint64_t total = 0;
    for (const Piece& piece : pieces_) total += piece.prepared_bytes;
    return total;
}

std::uint64_t PassPlan::stream_bytes() const noexcept {
    // One being prepared, the next one read; more where they are small, so that the disk never waits.
    const std::uint64_t pair =
        largest_run(pieces_, 2, [](const Piece& p) { return StreamStage::size_bytes(p.reads); });
    return std::max(pair, kLeastStreamBytes);
}

std::uint64_t PassPlan::read_bytes_per_wave() const noexcept {
    std::uint64_t total = 0;
    for (const Piece& piece : pieces_) total += read_bytes(piece);
    return total;
}

std::uint64_t PassPlan::observed_columns() const noexcept {
    std::uint64_t columns = 0;
    for (const Piece& piece : pieces_) {
        if (piece.stage == stages_.size()) continue;
        for (const TensorRange& range : piece.reads)
            columns +=
                range.size_bytes / (range.tensor->row_bytes() * range.tensor->ne[1]) * range.tensor->ne[0];
    }
    if (!options_.observed_output.empty()) columns += static_cast<std::uint64_t>(program_.final.cols);
    return columns;
}

std::uint64_t PassPlan::variant_weight_bytes(std::int64_t n_projections,
                                             double bytes_per_rounded_weight) const {
    // A piece of the model or a variant is in use while that of the next variant is made from rounded bytes.
    // Panels of the vocabulary are held together: the model's, the variants', and the one in the making.
    std::uint64_t largest = 0, panel = 0;
    for (const Piece& piece : pieces_) {
        std::uint64_t& most = piece.stage == stages_.size() ? panel : largest;
        most = std::max(most, piece.prepared_bytes);
    }
    const double rounded = static_cast<double>(std::max(largest, panel)) /
                           static_cast<double>(operand_bytes_) * bytes_per_rounded_weight;
    return std::max(2 * largest, panel * static_cast<std::uint64_t>(n_projections + 2)) +
           static_cast<std::uint64_t>(rounded);
}

}  // namespace assay::engine
