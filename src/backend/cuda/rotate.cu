// Per-head norm and rotary embedding: a warp takes one head of one row, in pairs of components.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/reduce.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

__global__ void table_kernel(Rope rope, std::int64_t n, float2* table) {
    const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= n) return;
    const std::int64_t pairs = rope.n_rot / 2;
    // In double: a late position times a frequency, rounded to float, is off by more than a bf16 step.
    const double angle = static_cast<double>(i / pairs) * static_cast<double>(rope.frequencies[i % pairs]);
    double sine, cosine;
    sincos(angle, &sine, &cosine);
    table[i] = {static_cast<float>(cosine) * rope.magnitude, static_cast<float>(sine) * rope.magnitude};
}

struct RotateArgs {
    void* x;
    std::int64_t stride;
    std::int64_t rows;
    int head_dim;
    int n_rot;
    bool halves;
    Norm norm;
    const float2* table;
    std::int64_t chunk_tokens;
};

/// kMaxPairs a lane.
template <typename T, int kMaxPairs> __global__ void rotate_kernel(RotateArgs a) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (row >= a.rows) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    T* head = static_cast<T*>(a.x) + row * a.stride + static_cast<std::int64_t>(blockIdx.y) * a.head_dim;
    const int n_pairs = a.head_dim / 2;
    const int rotated_pairs = a.n_rot / 2;
    const auto first_of = [&](int pair) { return a.halves && pair < rotated_pairs ? pair : 2 * pair; };
    const auto second_of = [&](int pair) {
        return a.halves && pair < rotated_pairs ? pair + rotated_pairs : 2 * pair + 1;
    };
    float u[kMaxPairs];
    float v[kMaxPairs];
#pragma unroll
    for (int j = 0; j < kMaxPairs; ++j) {
        const int pair = lane + 32 * j;
        u[j] = pair < n_pairs ? to_float(head[first_of(pair)]) : 0.0f;
        v[j] = pair < n_pairs ? to_float(head[second_of(pair)]) : 0.0f;
    }
    if (a.norm.kind != NormKind::None) {
        const auto n = static_cast<float>(a.head_dim);
        float mean = 0;
        if (a.norm.kind == NormKind::Layer) {
            float sum = 0;
            for (int j = 0; j < kMaxPairs; ++j) sum += u[j] + v[j];
            mean = warp_sum(sum) / n;
        }
        float squares = 0;
#pragma unroll
        for (int j = 0; j < kMaxPairs; ++j) {
            if (lane + 32 * j >= n_pairs) continue;
            u[j] -= mean;
            v[j] -= mean;
            squares += u[j] * u[j] + v[j] * v[j];
        }
        const float scale = 1.0f / sqrtf(warp_sum(squares) / n + a.norm.eps);
#pragma unroll
        for (int j = 0; j < kMaxPairs; ++j) {
            const int pair = lane + 32 * j;
            if (pair >= n_pairs) continue;
            u[j] *= scale;
            v[j] *= scale;
            if (a.norm.weight != nullptr) {
                u[j] *= a.norm.weight[first_of(pair)];
                v[j] *= a.norm.weight[second_of(pair)];
            }
            if (a.norm.bias != nullptr) {
                u[j] += a.norm.bias[first_of(pair)];
                v[j] += a.norm.bias[second_of(pair)];
            }
        }
    }
    const float2* turns =
        a.table + static_cast<unsigned>(row) % static_cast<unsigned>(a.chunk_tokens) * rotated_pairs;
#pragma unroll
    for (int j = 0; j < kMaxPairs; ++j) {
        const int pair = lane + 32 * j;
        if (pair >= n_pairs) continue;
        if (pair < rotated_pairs) {
            const float2 turn = turns[pair];
            const float turned = u[j] * turn.x - v[j] * turn.y;
            v[j] = u[j] * turn.y + v[j] * turn.x;
            u[j] = turned;
        }
        head[first_of(pair)] = round_to<T>(u[j]);
        head[second_of(pair)] = round_to<T>(v[j]);
    }
}

}  // namespace

void rotation_table(const Rope& rope, std::int64_t chunk_tokens, float2* table, cudaStream_t stream) {
    const std::int64_t n = chunk_tokens * (rope.n_rot / 2);
    if (n == 0) return;
    table_kernel<<<static_cast<unsigned>((n + kThreads - 1) / kThreads), kThreads, 0, stream>>>(rope, n,
                                                                                                table);
    check(cudaGetLastError(), "a rotation table");
}

void rotate(View x, std::int64_t n_heads, const Norm& norm, const Rope& rope, const float2* table,
            std::int64_t chunk_tokens, cudaStream_t stream) {
    if (x.rows == 0) return;
    RotateArgs a{};
    a.x = x.data;
    a.stride = x.stride;
    a.rows = x.rows;
    a.head_dim = static_cast<int>(x.cols / n_heads);
    a.n_rot = static_cast<int>(rope.n_rot);
    a.halves = rope.pairing == Pairing::Halves;
    a.norm = norm;
    a.table = table;
    a.chunk_tokens = chunk_tokens;
    const dim3 grid(static_cast<unsigned>((x.rows + kWarps - 1) / kWarps), static_cast<unsigned>(n_heads));
    dispatch(x.dtype, [&](auto t) {
        using T = decltype(t);
        if (a.head_dim <= 128)
            rotate_kernel<T, 2><<<grid, kThreads, 0, stream>>>(a);
        else
            rotate_kernel<T, 8><<<grid, kThreads, 0, stream>>>(a);
    });
    check(cudaGetLastError(), "rotating heads");
}

}  // namespace assay::backend::cuda
