// Top-k over the router's logits, then a counting sort of (row, slot) pairs by expert that keeps row order.
#include "backend/cuda/device.h"
#include "backend/cuda/reduce.cuh"
#include "backend/cuda/routing.h"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

/// The least divisor of expert weights, as llama.cpp (the smallest normal half).
constexpr float kLeastWeightSum = 6.103515625e-5f;

/// RouteArgs as the device takes them.
struct ChooseArgs {
    Gating gating;
    bool normalise;
    float weight_scale;
    const float* bias;
    bool select_logits;
    int n_groups;
    int n_groups_used;
    bool given;  ///< r.experts is filled
    int logits_per_expert;
};

/// What a logit's weight comes from. A softmax is divided by its sum later.
__device__ float gated_score(Gating gating, float logit, float reference) {
    if (gating == Gating::Sigmoid) return 1.0f / (1.0f + expf(-logit));
    if (gating == Gating::SqrtSoftplus) return sqrtf(logit > 20.0f ? logit : log1pf(expf(logit)));
    return expf(logit - reference);
}

/// Takes the groups that are not among the best out of the choice. sums [n_groups] of this warp.
__device__ void leave_groups(const ChooseArgs& a, int n_logits, float* scores, float* sums) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int size = n_logits / a.n_groups;
    __syncwarp();
    for (int g = lane; g < a.n_groups; g += 32) {
        float first = -INFINITY;
        float second = -INFINITY;
        for (int e = g * size; e < (g + 1) * size; ++e) {
            second = fmaxf(second, fminf(first, scores[e]));
            first = fmaxf(first, scores[e]);
        }
        sums[g] = size > 1 ? first + second : first;
    }
    __syncwarp();
    for (int g = lane; g < a.n_groups; g += 32) {
        int rank = 0;
        for (int other = 0; other < a.n_groups; ++other)
            rank += before({sums[other], other}, {sums[g], g}) ? 1 : 0;
        if (rank < a.n_groups_used) continue;
        for (int e = g * size; e < (g + 1) * size; ++e) scores[e] = -INFINITY;
    }
    __syncwarp();
}

/// One warp a row: n_used times the best of those after the last one taken. Shared memory: for each warp a
/// score of each logit and a sum of each group.
__global__ void choose_kernel(View logits, ChooseArgs a, RoutingView r) {
    extern __shared__ float shared[];
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (row >= r.n_rows) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int n_logits = static_cast<int>(logits.cols);
    const float* logit = static_cast<const float*>(logits.data) + row * logits.stride;
    float* scores = shared + threadIdx.x / 32 * (n_logits + a.n_groups);
    std::int32_t* experts = r.experts + row * r.n_used;
    float* weights = r.weights + row * r.n_used;
    float highest = -INFINITY;
    for (int e = lane; e < n_logits; e += 32) highest = fmaxf(highest, logit[e]);
    highest = warp_max(highest);
    float total = 1;
    if (a.gating == Gating::Softmax) {
        float sum = 0;
        for (int e = lane; e < n_logits; e += 32) sum += expf(logit[e] - highest);
        total = warp_sum(sum);
    }
    bool numbers = true;
    if (!a.given) {
        // Logits are in the order of their softmax. Saturated sigmoids tie.
        const bool grouped = a.n_groups_used < a.n_groups;
        const bool by_logit = a.select_logits || a.gating == Gating::SoftmaxSelected ||
                              (a.gating == Gating::Softmax && a.bias == nullptr && !grouped);
        for (int e = lane; e < n_logits; e += 32)
            scores[e] = (by_logit ? logit[e] : gated_score(a.gating, logit[e], highest) / total) +
                        (a.bias != nullptr ? a.bias[e] : 0.0f);
        __syncwarp();
        if (grouped) leave_groups(a, n_logits, scores, scores + n_logits);
        Best last{INFINITY, -1};
        for (int slot = 0; slot < r.n_used; ++slot) {
            Best best{-INFINITY, n_logits};
            for (int e = lane; e < n_logits; e += 32) {
                const Best candidate{scores[e], e};
                if (before(last, candidate) && before(candidate, best)) best = candidate;
            }
            best = warp_best(best);
            // No candidate: the logits are not numbers. Any expert keeps the lists whole; the weight says so.
            if (best.index == n_logits) {
                best = {NAN, slot};
                numbers = false;
            }
            last = best;
            if (lane == 0) experts[slot] = best.index / a.logits_per_expert;
        }
        __syncwarp();
    }
    float reference = highest;
    if (a.gating == Gating::SoftmaxSelected) {
        reference = -INFINITY;
        for (int slot = 0; slot < r.n_used; ++slot) reference = fmaxf(reference, logit[experts[slot]]);
    }
    float chosen_sum = 0;
    for (int slot = 0; slot < r.n_used; ++slot)
        chosen_sum += gated_score(a.gating, logit[experts[slot]], reference);
    const float divisor =
        a.gating == Gating::SoftmaxSelected || a.normalise ? fmaxf(chosen_sum, kLeastWeightSum) : total;
    for (int slot = lane; slot < r.n_used; slot += 32) {
        const float weight = gated_score(a.gating, logit[experts[slot]], reference);
        weights[slot] = numbers ? weight / divisor * a.weight_scale : NAN;
    }
}

/// The pairs of a chunk: the first, and how many.
struct ChunkPairs {
    std::int64_t first;
    std::int64_t n;
};
__device__ ChunkPairs pairs_of_chunk(const RoutingView& r, std::int64_t chunk) {
    if (r.row_starts == nullptr) return {chunk * r.chunk_tokens * r.n_used, r.chunk_tokens * r.n_used};
    const std::int64_t begin = r.row_starts[chunk] - r.row_starts[0];
    return {begin * r.n_used, (r.row_starts[chunk + 1] - r.row_starts[0] - begin) * r.n_used};
}

/// One block a chunk.
__global__ void count_kernel(RoutingView r) {
    extern __shared__ int counts[];
    for (int e = static_cast<int>(threadIdx.x); e < r.n_experts; e += kThreads) counts[e] = 0;
    __syncthreads();
    const ChunkPairs pairs = pairs_of_chunk(r, blockIdx.x);
    const std::int32_t* experts = r.experts + pairs.first;
    for (std::int64_t i = threadIdx.x; i < pairs.n; i += kThreads) atomicAdd(counts + experts[i], 1);
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

constexpr int kPlaceThreads = 1024;

/// One block a chunk, one warp an expert: it goes through the chunk's pairs 32 at a time, and its lanes find
/// their places by counting those before them.
__global__ void place_kernel(RoutingView r) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const auto [base, pairs] = pairs_of_chunk(r, blockIdx.x);
    for (std::int64_t e = threadIdx.x / 32; e < r.n_experts; e += kPlaceThreads / 32) {
        std::int32_t next = r.starts[blockIdx.x * r.n_experts + e];
        for (std::int64_t first = 0; first < pairs; first += 32) {
            const std::int64_t pair = first + lane;
            const bool mine = pair < pairs && r.experts[base + pair] == e;
            const unsigned all = __ballot_sync(0xffffffffu, mine);
            if (mine) {
                const std::int32_t position = next + __popc(all & ((1u << lane) - 1u));
                r.positions[base + pair] = position;
                r.rows[position] = static_cast<std::int32_t>((base + pair) / r.n_used);
                r.placed_weights[position] = r.weights[base + pair];
            }
            next += __popc(all);
        }
    }
}

}  // namespace

void route_rows(View logits, const RouteArgs& args, const RoutingView& r, cudaStream_t stream) {
    if (r.n_rows == 0) return;
    const auto chunks = static_cast<unsigned>(r.n_chunks);
    const auto shared_bytes = static_cast<std::size_t>(r.n_experts) * sizeof(int);
    const ChooseArgs a{args.gating,
                       args.normalise,
                       args.weight_scale,
                       args.selection_bias,
                       args.select_logits,
                       static_cast<int>(args.n_groups),
                       static_cast<int>(args.n_groups_used),
                       !args.chosen.empty(),
                       static_cast<int>(args.logits_per_expert)};
    const auto score_bytes = static_cast<std::size_t>(kWarps * (logits.cols + args.n_groups)) * sizeof(float);
    check(cudaFuncSetAttribute(choose_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(score_bytes)),
          "reserving shared memory for routing");
    choose_kernel<<<static_cast<unsigned>((r.n_rows + kWarps - 1) / kWarps), kThreads, score_bytes, stream>>>(
        logits, a, r);
    count_kernel<<<chunks, kThreads, shared_bytes, stream>>>(r);
    start_kernel<<<1, kThreads, shared_bytes, stream>>>(r);
    place_kernel<<<chunks, kPlaceThreads, 0, stream>>>(r);
    check(cudaGetLastError(), "routing");
}

}  // namespace assay::backend::cuda
