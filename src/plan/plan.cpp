#include "plan/plan.h"

#include <algorithm>

#include "gguf/weight_stream.h"
#include "model/visit.h"
#include "plan/pieces.h"
#include "plan/walk.h"

namespace assay::plan {

namespace {

/// A column's sums: of squares and of values.
constexpr std::int64_t kSumsBytes = 2 * sizeof(float);
/// Sums under way to the sink: enough groups of chunks to ride out a sink that is slow for a moment.
constexpr std::uint64_t kDeliveredGroups = 4;
constexpr std::uint64_t kMostDeliveryBytes = std::uint64_t{32} << 20;
/// Where a row's choice of an expert is kept, twice while the rows are dealt out.
constexpr std::int64_t kChoiceBytes = 24;
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
    for (const gguf::TensorRange& range : piece.reads) total += range.size_bytes;
    return total;
}

}  // namespace

PassPlan::PassPlan(const gguf::File& file, const model::Program& program, const backend::Backend& backend,
                   const PassOptions& options)
    : file_(file),
      program_(program),
      options_(options),
      operand_bytes_(backend::size_of(backend.operand_dtype())),
      // Bringing weights to a device and computing take turns at being the slower one, since stages differ:
      // two ahead even that out. Preparing in host memory competes with computing anyway.
      pieces_ahead_(backend.uses_host_memory() ? 1 : 2),
      expert_bytes_(backend.expert_bytes()) {
    WalkedValues walked =
        walk_values(program, {backend.operand_dtype(), backend.activation_dtype()}, options_);
    stages_ = std::move(walked.stages);
    slots_ = std::move(walked.slots);
    value_slots_ = std::move(walked.slot_of);
    lifetimes_ = std::move(walked.lifetimes);
    for (const StagePlan& stage : stages_)
        if (const model::Experts* experts = stage.stage->experts()) experts_.push_back(experts);
    list_projections();
    pieces_ = list_pieces(file, stages_, options_.losses ? projections_ : std::vector<const model::Output*>{},
                          operand_bytes_);
    std::int64_t widest = 1;
    for (const StagePlan& stage : stages_) widest = std::max(widest, stage.bytes_per_row);
    const std::int64_t chunk_bytes = widest * options_.n_ctx;
    group_chunks_ = std::clamp<std::int64_t>(backend.preferred_rows() / options_.n_ctx, 1,
                                             std::max<std::int64_t>(1, kArenaBytes / chunk_bytes));
}

void PassPlan::list_projections() {
    projections_.push_back(&program_.output);
    scorings_.push_back({program_.final, 0, 0});
    for (const model::NextN& block : program_.nextn) {
        const auto same = std::ranges::find_if(projections_, [&](const model::Output* output) {
            return output->linear.weight.name == block.output.linear.weight.name;
        });
        const auto index = static_cast<std::size_t>(same - projections_.begin());
        if (same == projections_.end()) projections_.push_back(&block.output);
        scorings_.push_back({block.final, block.ahead, index});
    }
}

std::vector<std::int32_t> PassPlan::live_slots(std::size_t stage) const {
    std::vector<std::int32_t> live;
    for (std::size_t v = 0; v < lifetimes_.size(); ++v)
        if (value_slots_[v] >= 0 && lifetimes_[v].first < stage && lifetimes_[v].second >= stage)
            live.push_back(value_slots_[v]);
    return live;
}

std::uint64_t PassPlan::chunk_bytes(std::int64_t n_tokens) const noexcept {
    std::int64_t per_row = 0;
    for (const Slot& slot : slots_) per_row += slot.cols * backend::size_of(slot.type);
    if (options_.losses)
        for (const Scoring& scoring : scorings_)
            per_row += scoring.final.cols * operand_bytes_ / (options_.unequal ? 1 : 2);
    std::int64_t chosen = 0;
    for (const model::Experts* experts : experts_) chosen = std::max(chosen, experts->router.n_used);
    per_row += chosen * kChoiceBytes;
    return static_cast<std::uint64_t>(per_row * n_tokens) + expert_sums_bytes();
}

std::uint64_t PassPlan::group_sums_bytes() const noexcept {
    std::int64_t most = 0;
    for (const StagePlan& stage : stages_) most = std::max(most, stage.observed_columns);
    return static_cast<std::uint64_t>(most * kSumsBytes * most_group_chunks());
}

std::uint64_t PassPlan::delivery_bytes() const noexcept {
    return std::min(kMostDeliveryBytes, kDeliveredGroups * group_sums_bytes());
}

std::uint64_t PassPlan::workspace_bytes() const noexcept {
    std::int64_t widest = 0;
    for (const StagePlan& stage : stages_) widest = std::max(widest, stage.bytes_per_row);
    return static_cast<std::uint64_t>(widest * group_rows()) + group_sums_bytes() + delivery_bytes() +
           (experts_.empty() ? 0 : expert_bytes_);
}

/// A batch of experts leaves two parcels of sums for every chunk of the wave, and those of the batches before
/// it may still be under way.
std::uint64_t PassPlan::expert_sums_bytes() const noexcept {
    std::int64_t most = 0;
    for (const Piece& piece : pieces_) {
        if (piece.stage >= stages_.size()) continue;
        if (const model::Experts* experts = stages_[piece.stage].stage->experts())
            most = std::max(most, piece.count * (experts->up.weight.n_in + experts->down.weight.n_in));
    }
    constexpr std::int64_t kBatches = 1 + kFewParcels / 2;
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
        largest_run(pieces_, 2, [](const Piece& p) { return gguf::JobBytes::size_bytes(p.reads); });
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
        if (piece.stage >= stages_.size()) continue;
        for (const gguf::TensorRange& range : piece.reads)
            columns +=
                range.size_bytes / (range.tensor->row_bytes() * range.tensor->ne[1]) * range.tensor->ne[0];
    }
    if (!options_.observed_output.empty()) columns += static_cast<std::uint64_t>(program_.final.cols);
    for (std::size_t p = 1; p < projections_.size(); ++p)
        columns += static_cast<std::uint64_t>(projections_[p]->linear.weight.n_in);
    return columns;
}

std::uint64_t PassPlan::observed_inputs() const noexcept {
    std::int64_t columns = 0;
    for (const StagePlan& stage : stages_) columns += stage.observed_columns;
    for (const model::Experts* experts : experts_)
        columns += experts->router.n_experts * (experts->up.weight.n_in + experts->down.weight.n_in);
    return static_cast<std::uint64_t>(columns);
}

std::uint64_t PassPlan::variant_weight_bytes(std::int64_t n_projections,
                                             double bytes_per_rounded_weight) const {
    // A piece of the model or a variant is in use while that of the next variant is made from rounded bytes.
    // Panels of the vocabulary are held together: the model's, the variants', and the one in the making.
    std::uint64_t largest = 0, panel = 0;
    for (const Piece& piece : pieces_) {
        std::uint64_t& most = piece.stage >= stages_.size() ? panel : largest;
        most = std::max(most, piece.prepared_bytes);
    }
    const double rounded = static_cast<double>(std::max(largest, panel)) /
                           static_cast<double>(operand_bytes_) * bytes_per_rounded_weight;
    return std::max(2 * largest, panel * static_cast<std::uint64_t>(n_projections + 2)) +
           static_cast<std::uint64_t>(rounded);
}

}  // namespace assay::plan
