// Which experts each row goes to, and the order in which rows are gathered for them.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace assay::backend::cuda {

/// The (row, slot) pairs sorted by expert, within an expert by row; a pair's place is its position.
struct RoutingView {
    std::int64_t n_rows = 0;
    std::int64_t n_experts = 0;
    std::int64_t n_used = 0;
    std::int64_t n_chunks = 0;
    std::int64_t chunk_tokens = 0;
    const std::int32_t* row_starts = nullptr;  ///< [n_chunks + 1]; null: chunks have chunk_tokens
    const float* row_weights = nullptr;        ///< [n_rows] what they count in sums; null: 1
    std::int32_t* experts = nullptr;           ///< [n_rows, n_used]
    float* weights = nullptr;                  ///< [n_rows, n_used]
    std::int32_t* positions = nullptr;         ///< [n_rows, n_used]
    std::int32_t* rows = nullptr;              ///< [n_rows * n_used], by position
    float* placed_weights = nullptr;           ///< [n_rows * n_used], by position
    std::int32_t* counts = nullptr;            ///< [n_chunks, n_experts]
    std::int32_t* starts = nullptr;            ///< [n_chunks, n_experts]: position of a chunk's first pair
};

/// Fills what the view points to; `experts` are there already where args gives them. logits [n_rows,
/// n_experts * logits_per_expert] f32.
void route_rows(View logits, const RouteArgs& args, const RoutingView& routing, cudaStream_t stream);

class DeviceRouting final : public Routing {
  public:
    /// Waits for the counts.
    DeviceRouting(const DevicePtr& device, View logits, const RouteArgs& args, Rows rows);

    double count(std::int64_t chunk, std::int64_t expert) const override {
        const auto cell = static_cast<std::size_t>(chunk * view_.n_experts + expert);
        return weighted_.empty() ? counts_[cell] : weighted_[cell];
    }
    const RoutingView& view() const noexcept { return view_; }
    /// Position of the expert's first pair; expert n_experts: the number of pairs.
    std::int64_t start(std::int64_t expert) const { return starts_[static_cast<std::size_t>(expert)]; }

  private:
    DeviceBuffer memory_;
    RoutingView view_;
    /// What the pairs count, where rows do not all count 1.
    void weigh(Rows rows, cudaStream_t stream);

    std::vector<std::int32_t> counts_;  ///< pairs
    std::vector<double> weighted_;
    std::vector<std::int64_t> starts_;
};

/// What the kernels of a batch of experts need: experts first .. first + n, whose pairs lie one after another
/// from `base` on. The rows of packed matrices are positions less base.
struct PackArgs {
    RoutingView routing;
    std::int64_t first = 0;
    std::int64_t n = 0;
    std::int64_t base = 0;
    /// Sums are [n_chunks, sums_batch, cols], the first of these experts at index sums_first.
    std::int64_t sums_batch = 0;
    std::int64_t sums_first = 0;
    bool weigh_input = false;
};

/// packed [pairs, cols] = the pairs' rows of x [n_rows, cols] f32, times their weights with weigh_input,
/// rounded; sums before rounding.
void gather_rows(const PackArgs& args, View x, View packed, const Sums& sums, cudaStream_t stream);
struct GateArgs {
    GateFunction function;
    bool gated = true;            ///< false: act(up)
    const float* bias = nullptr;  ///< [experts of the batch, cols of the product]
};
/// packed [pairs, ffn] = function(gate, up) of product [pairs, 2 * ffn], or act(up) of [pairs, ffn].
void gate_packed(const PackArgs& args, View product, const GateArgs& gate, View packed, const Sums& sums,
                 cudaStream_t stream);
/// out [n_rows, cols] f32 += weight * activation(packed [pairs, cols] f32 + bias [experts of the batch,
/// cols]), in increasing order of expert.
void scatter_rows(const PackArgs& args, View packed, const float* bias, Activation activation, View out,
                  cudaStream_t stream);

}  // namespace assay::backend::cuda
