// The softmax between the two products of attention: scores of a tile of queries become weights.
#include "backend/cuda/attention_softmax.h"
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/reduce.cuh"
#include "backend/cuda/score.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kWarps = 8;

/// Whether the query sees this column: a key, or behind them a block of keys.
__device__ bool sees(const SoftmaxArgs& a, const float* chosen, std::int64_t position, std::int64_t col) {
    if (col < a.n_keys) {
        if (col < first_key(a.score, position) || col > last_key(a.score, position)) return false;
        return a.n_blocks > 0 || chosen == nullptr || chosen[col / a.chosen_tokens] != 0;
    }
    const std::int64_t block = col - a.first_block_col;
    if (block < 0 || block >= a.n_blocks || (block + 1) * a.block_tokens > position + 1) return false;
    return chosen == nullptr || chosen[block] != 0;
}

/// A warp takes a query of a head.
__global__ void softmax_kernel(SoftmaxArgs a) {
    const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (item >= a.n_queries * a.n_heads) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    const std::int64_t query = a.heads_together ? item / a.n_heads : item % a.n_queries;
    const std::int64_t head = a.first_head + (a.heads_together ? item % a.n_heads : item / a.n_queries);
    const std::int64_t position = a.first_position + query;
    const float* scores = a.scores + item * a.stride;
    Bf16* weights = a.weights + item * a.stride;
    const float* chosen = a.chosen != nullptr ? a.chosen + query * a.chosen_stride : nullptr;
    const float factor =
        a.score.query_scale != nullptr ? a.score.scale * a.score.query_scale[position] : a.score.scale;
    const float slope = a.score.slopes != nullptr ? a.score.slopes[head] : 0.0f;
    const auto score_at = [&](std::int64_t col) {
        const float score = capped(a.score, scores[col] * factor);
        return slope == 0
                   ? score
                   : score - slope * static_cast<float>(col < position ? position - col : col - position);
    };
    float maximum = a.score.sinks != nullptr ? a.score.sinks[head] : -INFINITY;
    for (std::int64_t col = lane; col < a.stride; col += 32)
        if (sees(a, chosen, position, col)) maximum = fmaxf(maximum, score_at(col));
    maximum = warp_max(maximum);
    float sum = 0;
    for (std::int64_t col = lane; col < a.stride; col += 32)
        if (sees(a, chosen, position, col)) sum += expf(score_at(col) - maximum);
    sum = warp_sum(sum);
    if (a.score.sinks != nullptr) sum += expf(a.score.sinks[head] - maximum);
    const float inverse = sum > 0 ? 1.0f / sum : 0.0f;
    for (std::int64_t col = lane; col < a.stride; col += 32)
        weights[col] =
            round_to<Bf16>(sees(a, chosen, position, col) ? expf(score_at(col) - maximum) * inverse : 0.0f);
}

}  // namespace

void attention_softmax(const SoftmaxArgs& args, cudaStream_t stream) {
    const std::int64_t items = args.n_queries * args.n_heads;
    if (items == 0) return;
    softmax_kernel<<<static_cast<unsigned>((items + kWarps - 1) / kWarps), kWarps * 32, 0, stream>>>(args);
    check(cudaGetLastError(), "the softmax of attention");
}

}  // namespace assay::backend::cuda
