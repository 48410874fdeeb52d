// Top-k over the router's logits, then a counting sort of (row, slot) pairs by expert that keeps row order.
#include "backend/cuda/device.h"
#include "backend/cuda/reduce.cuh"
#include "backend/cuda/routing.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

struct Best {
    float value;
    int index;
};

/// Larger first, then lower index.
__device__ bool before(Best a, Best b) {
    return a.value > b.value || (a.value == b.value && a.index < b.index);
}

__device__ Best warp_best(Best best) {
    for (int offset = 16; offset > 0; offset /= 2) {
        const Best other{__shfl_xor_sync(0xffffffffu, best.value, offset),
                         __shfl_xor_sync(0xffffffffu, best.index, offset)};
        if (before(other, best)) best = other;
    }
    return best;
}

/// Experts are ordered by what their weights come from: saturated sigmoids tie.
__device__ float score_of(Gating gating, float logit) {
    return gating == Gating::Sigmoid ? 1.0f / (1.0f + expf(-logit)) : logit;
}

/// The least divisor of expert weights, as llama.cpp (the smallest normal half).
constexpr float kLeastWeightSum = 6.103515625e-5f;

/// One warp a row: n_used times the best of those after the last one taken.
__global__ void choose_kernel(View logits, RouteArgs args, RoutingView r) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (row >= r.n_rows) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int n_experts = static_cast<int>(r.n_experts);
    const float* scores = static_cast<const float*>(logits.data) + row * logits.stride;
    Best last{INFINITY, -1};
    float highest = 0;
    float chosen_sum = 0;
    float* weights = r.weights + row * r.n_used;
    for (int slot = 0; slot < r.n_used; ++slot) {
        Best best{-INFINITY, n_experts};
        for (int e = lane; e < n_experts; e += 32) {
            const Best candidate{score_of(args.gating, scores[e]), e};
            if (before(last, candidate) && before(candidate, best)) best = candidate;
        }
        best = warp_best(best);
        // No candidate: the logits are not numbers. Any expert keeps the lists whole; the weight says so.
        if (best.index == n_experts) best = {NAN, slot};
        if (slot == 0) highest = best.value;
        last = best;
        const float weight = args.gating == Gating::Sigmoid ? best.value : expf(best.value - highest);
        chosen_sum += weight;
        if (lane == 0) {
            r.experts[row * r.n_used + slot] = best.index;
            weights[slot] = weight;
        }
    }
    float divisor = 1;
    if (args.gating == Gating::Softmax) {
        float sum = 0;
        for (int e = lane; e < n_experts; e += 32) sum += expf(scores[e] - highest);
        divisor = warp_sum(sum);
    }
    if (args.gating == Gating::SoftmaxSelected || args.normalise)
        divisor = fmaxf(chosen_sum, kLeastWeightSum);
    if (lane == 0)
        for (int slot = 0; slot < r.n_used; ++slot)
            weights[slot] = weights[slot] / divisor * args.weight_scale;
}

/// One block a chunk.
__global__ void count_kernel(RoutingView r) {
    extern __shared__ int counts[];
    for (int e = static_cast<int>(threadIdx.x); e < r.n_experts; e += kThreads) counts[e] = 0;
    __syncthreads();
    const std::int64_t pairs = r.chunk_tokens * r.n_used;
    const std::int32_t* experts = r.experts + blockIdx.x * pairs;
    for (std::int64_t i = threadIdx.x; i < pairs; i += kThreads) atomicAdd(counts + experts[i], 1);
    __syncthreads();
    for (int e = static_cast<int>(threadIdx.x); e < r.n_experts; e += kThreads)
        r.counts[blockIdx.x * r.n_experts + e] = counts[e];
}

/// One block.
__global__ void start_kernel(RoutingView r) {
    extern __shared__ int totals[];
    for (int e = static_cast<int>(threadIdx.x); e < r.n_experts; e += kThreads) {
        int total = 0;
        for (std::int64_t chunk = 0; chunk < r.n_chunks; ++chunk) total += r.counts[chunk * r.n_experts + e];
        totals[e] = total;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        int start = 0;
        for (int e = 0; e < r.n_experts; ++e) {
            const int total = totals[e];
            totals[e] = start;
            start += total;
        }
    }
    __syncthreads();
    for (int e = static_cast<int>(threadIdx.x); e < r.n_experts; e += kThreads) {
        int start = totals[e];
        for (std::int64_t chunk = 0; chunk < r.n_chunks; ++chunk) {
            r.starts[chunk * r.n_experts + e] = start;
            start += r.counts[chunk * r.n_experts + e];
        }
    }
}

/// One block a chunk, one thread an expert: it picks its pairs out of the chunk's list in order.
__global__ void place_kernel(RoutingView r) {
    constexpr int kTile = 2048;
    __shared__ std::int32_t tile[kTile];
    const std::int64_t pairs = r.chunk_tokens * r.n_used;
    const std::int64_t base = blockIdx.x * pairs;
    for (std::int64_t e0 = 0; e0 < r.n_experts; e0 += kThreads) {
        const std::int64_t e = e0 + threadIdx.x;
        std::int32_t next = e < r.n_experts ? r.starts[blockIdx.x * r.n_experts + e] : 0;
        for (std::int64_t first = 0; first < pairs; first += kTile) {
            const int n = static_cast<int>(min(static_cast<std::int64_t>(kTile), pairs - first));
            __syncthreads();
            for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads)
                tile[i] = r.experts[base + first + i];
            __syncthreads();
            for (int i = 0; i < n; ++i) {
                if (tile[i] != e) continue;
                r.positions[base + first + i] = next;
                r.rows[next++] = static_cast<std::int32_t>((base + first + i) / r.n_used);
            }
        }
    }
}

}  // namespace

void route_rows(View logits, const RouteArgs& args, const RoutingView& r, cudaStream_t stream) {
    if (r.n_rows == 0) return;
    const auto chunks = static_cast<unsigned>(r.n_chunks);
    const auto shared_bytes = static_cast<std::size_t>(r.n_experts) * sizeof(int);
    choose_kernel<<<static_cast<unsigned>((r.n_rows + kWarps - 1) / kWarps), kThreads, 0, stream>>>(logits,
                                                                                                    args, r);
    count_kernel<<<chunks, kThreads, shared_bytes, stream>>>(r);
    start_kernel<<<1, kThreads, shared_bytes, stream>>>(r);
    place_kernel<<<chunks, kThreads, 0, stream>>>(r);
    check(cudaGetLastError(), "routing");
}

}  // namespace assay::backend::cuda
