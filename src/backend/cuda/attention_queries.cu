// Attention in f32, the reference on the device, and for heads of odd widths: a warp takes one query
// of one head and walks its keys, each lane holding every 32nd component.
#include <algorithm>

#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"
#include "backend/cuda/score.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kWarps = 8;

struct QueryArgs {
    View q;
    View k;
    View v;
    int head_dim;
    int value_dim;
    int heads_per_kv;
    std::int64_t n_heads;
    std::int64_t chunk_tokens;
    std::int64_t n_rows;
    ScoreArgs score;
    View block_k;
    View block_v;
    std::int64_t block_tokens;
    View chosen;
    std::int64_t chosen_tokens;
    View operand;
    View plain;
};

template <typename T> __device__ T* at(const View& view, std::int64_t row, std::int64_t col) {
    return static_cast<T*>(view.data) + row * view.stride + col;
}

template <typename T, int kPerLane> __global__ void query_kernel(QueryArgs a) {
    const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (item >= a.n_rows * a.n_heads) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    const std::int64_t head = item / a.n_rows;
    const std::int64_t row = item % a.n_rows;
    const std::int64_t position = row % a.chunk_tokens;
    const std::int64_t base = row - position;
    const std::int64_t kv_head = head / a.heads_per_kv;
    float q[kPerLane];
    float o[kPerLane] = {};
    for (int j = 0; j < kPerLane; ++j)
        q[j] =
            lane + 32 * j < a.head_dim ? to_float(at<T>(a.q, row, head * a.head_dim)[lane + 32 * j]) : 0.0f;
    const float factor =
        a.score.query_scale != nullptr ? a.score.scale * a.score.query_scale[position] : a.score.scale;
    const float slope = a.score.slopes != nullptr ? a.score.slopes[head] : 0.0f;
    // A sink is a key whose value is zero.
    float maximum = a.score.sinks != nullptr ? a.score.sinks[head] : -INFINITY;
    float sum = a.score.sinks != nullptr ? 1.0f : 0.0f;
    const auto take = [&](const View& keys, const View& values, std::int64_t key) {
        const T* k = at<T>(keys, base + key, kv_head * a.head_dim);
        const T* v = at<T>(values, base + key, kv_head * a.value_dim);
        float dot = 0;
        for (int j = 0; j < kPerLane; ++j)
            if (lane + 32 * j < a.head_dim) dot += q[j] * to_float(k[lane + 32 * j]);
        const float score = capped(a.score, warp_sum(dot) * factor) -
                            slope * static_cast<float>(key < position ? position - key : key - position);
        const float highest = fmaxf(maximum, score);
        const float correction = expf(maximum - highest);
        const float weight = expf(score - highest);
        maximum = highest;
        sum = sum * correction + weight;
        for (int j = 0; j < kPerLane; ++j)
            if (lane + 32 * j < a.value_dim) o[j] = o[j] * correction + weight * to_float(v[lane + 32 * j]);
    };
    const bool blocks = a.block_k.data != nullptr;
    const float* chosen = a.chosen.data != nullptr ? at<float>(a.chosen, row, 0) : nullptr;
    const std::int64_t last = last_key(a.score, position);
    for (std::int64_t key = first_key(a.score, position); key <= last; ++key)
        if (blocks || chosen == nullptr || chosen[key / a.chosen_tokens] != 0) take(a.k, a.v, key);
    if (blocks)
        for (std::int64_t i = 0; (i + 1) * a.block_tokens <= position + 1; ++i)
            if (chosen == nullptr || chosen[i] != 0) take(a.block_k, a.block_v, i * a.block_tokens);
    for (int j = 0; j < kPerLane; ++j) {
        if (lane + 32 * j >= a.value_dim) continue;
        const std::int64_t col = head * a.value_dim + lane + 32 * j;
        const float y = sum > 0 ? o[j] / sum : 0.0f;
        if (a.operand.data != nullptr) *at<T>(a.operand, row, col) = round_to<T>(y);
        if (a.plain.data != nullptr) *at<float>(a.plain, row, col) = y;
    }
}

template <int kPerLane> void launch(const QueryArgs& a, cudaStream_t stream) {
    const auto blocks = static_cast<unsigned>((a.n_rows * a.n_heads + kWarps - 1) / kWarps);
    dispatch(a.q.dtype,
             [&](auto t) { query_kernel<decltype(t), kPerLane><<<blocks, kWarps * 32, 0, stream>>>(a); });
    check(cudaGetLastError(), "attention");
}

}  // namespace

void attention_queries(const AttentionArgs& args, Rows rows, const Produced& out, cudaStream_t stream) {
    if (rows.count() == 0) return;
    QueryArgs a{};
    a.q = args.q;
    a.k = args.k;
    a.v = args.v;
    a.head_dim = static_cast<int>(args.head_dim);
    a.value_dim = static_cast<int>(args.value_dim);
    a.heads_per_kv = static_cast<int>(args.n_heads / args.n_kv_heads);
    a.n_heads = args.n_heads;
    a.chunk_tokens = rows.chunk_tokens;
    a.n_rows = rows.count();
    a.score = ScoreArgs(args, rows.chunk_tokens);
    a.block_k = args.block_k;
    a.block_v = args.block_v;
    a.block_tokens = args.block_tokens;
    a.chosen = args.chosen;
    a.chosen_tokens = args.chosen_tokens;
    a.operand = out.operand;
    a.plain = out.plain;
    const std::int64_t dim = std::max(args.head_dim, args.value_dim);
    if (dim <= 64) return launch<2>(a, stream);
    if (dim <= 128) return launch<4>(a, stream);
    if (dim <= 256) return launch<8>(a, stream);
    return launch<kMostQueryHead / 32>(a, stream);
}

}  // namespace assay::backend::cuda
