// Per-head norm and rotary embedding: a warp takes one head of one row, in pairs of components.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/norm.cuh"
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
    const float turn = rope.backwards ? -rope.magnitude : rope.magnitude;
    table[i] = {static_cast<float>(cosine) * rope.magnitude, static_cast<float>(sine) * turn};
}

struct RotateArgs {
    void* x;
    std::int64_t stride;
    std::int64_t rows;
    int head_dim;
    int first;
    int n_rot;
    bool halves;
    Norm norm;
    bool norm_last;
    const float2* table;
    const std::int32_t* positions;  ///< null: those of chunks of chunk_tokens
    std::int64_t chunk_tokens;
};

/// Which components make a pair: those that turn first, then the others two by two.
struct Pairs {
    int first, n_rot, n_turned;
    bool halves;

    __device__ int one(int pair) const {
        if (pair >= n_turned) return other(2 * (pair - n_turned));
        return first + (halves ? pair : 2 * pair);
    }
    __device__ int two(int pair) const {
        if (pair >= n_turned) return other(2 * (pair - n_turned) + 1);
        return first + (halves ? pair + n_turned : 2 * pair + 1);
    }
    __device__ int other(int i) const { return i < first ? i : i + n_rot; }
};

/// Of the components that a lane holds, zero where it holds none.
template <int kMaxPairs>
__device__ void normalise(const RotateArgs& a, const Pairs& pairs, int n_pairs, std::int64_t own,
                          float (&u)[kMaxPairs], float (&v)[kMaxPairs]) {
    const int lane = static_cast<int>(threadIdx.x % 32);
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
        const int pair = lane + 32 * j;
        if (pair >= n_pairs) continue;
        u[j] -= mean;
        v[j] = pairs.two(pair) < a.head_dim ? v[j] - mean : 0.0f;
        squares += u[j] * u[j] + v[j] * v[j];
    }
    const float scale = norm_factor(a.norm.kind, warp_sum(squares), n, a.norm.eps);
#pragma unroll
    for (int j = 0; j < kMaxPairs; ++j) {
        const int pair = lane + 32 * j;
        if (pair >= n_pairs) continue;
        const bool both = pairs.two(pair) < a.head_dim;
        u[j] *= scale;
        v[j] *= scale;
        if (a.norm.weight != nullptr) {
            u[j] *= a.norm.weight[own + pairs.one(pair)];
            if (both) v[j] *= a.norm.weight[own + pairs.two(pair)];
        }
        if (a.norm.bias != nullptr) {
            u[j] += a.norm.bias[own + pairs.one(pair)];
            if (both) v[j] += a.norm.bias[own + pairs.two(pair)];
        }
    }
}

/// kMaxPairs a lane. Without a norm only what turns is read and written.
template <typename T, int kMaxPairs> __global__ void rotate_kernel(RotateArgs a) {
    const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    if (row >= a.rows) return;
    const int lane = static_cast<int>(threadIdx.x % 32);
    T* head = static_cast<T*>(a.x) + row * a.stride + static_cast<std::int64_t>(blockIdx.y) * a.head_dim;
    const bool normed = a.norm.kind != NormKind::None;
    const Pairs pairs{a.first, a.n_rot, a.n_rot / 2, a.halves};
    const int n_pairs = pairs.n_turned + (normed ? (a.head_dim - a.n_rot + 1) / 2 : 0);
    const std::int64_t own = a.norm.repeats ? 0 : static_cast<std::int64_t>(blockIdx.y) * a.head_dim;
    float u[kMaxPairs];
    float v[kMaxPairs];
#pragma unroll
    for (int j = 0; j < kMaxPairs; ++j) {
        const int pair = lane + 32 * j;
        u[j] = pair < n_pairs ? to_float(head[pairs.one(pair)]) : 0.0f;
        v[j] = pair < n_pairs && pairs.two(pair) < a.head_dim ? to_float(head[pairs.two(pair)]) : 0.0f;
    }
    if (normed && !a.norm_last) normalise(a, pairs, n_pairs, own, u, v);
    const unsigned position = a.positions != nullptr
                                  ? static_cast<unsigned>(a.positions[row])
                                  : static_cast<unsigned>(row) % static_cast<unsigned>(a.chunk_tokens);
    const float2* turns = a.table + position * pairs.n_turned;
#pragma unroll
    for (int j = 0; j < kMaxPairs; ++j) {
        const int pair = lane + 32 * j;
        if (pair >= pairs.n_turned) continue;
        const float2 turn = turns[pair];
        const float turned = u[j] * turn.x - v[j] * turn.y;
        v[j] = u[j] * turn.y + v[j] * turn.x;
        u[j] = turned;
    }
    if (normed && a.norm_last) normalise(a, pairs, n_pairs, own, u, v);
#pragma unroll
    for (int j = 0; j < kMaxPairs; ++j) {
        const int pair = lane + 32 * j;
        if (pair >= n_pairs) continue;
        head[pairs.one(pair)] = round_to<T>(u[j]);
        if (pairs.two(pair) < a.head_dim) head[pairs.two(pair)] = round_to<T>(v[j]);
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

void rotate(View x, std::int64_t n_heads, const Norm& norm, bool norm_last, const Rope& rope,
            const float2* table, const std::int32_t* positions, std::int64_t chunk_tokens,
            cudaStream_t stream) {
    if (x.rows == 0) return;
    RotateArgs a{};
    a.x = x.data;
    a.stride = x.stride;
    a.rows = x.rows;
    a.head_dim = static_cast<int>(x.cols / n_heads);
    a.first = static_cast<int>(rope.first);
    a.n_rot = static_cast<int>(rope.n_rot);
    a.halves = rope.pairing == Pairing::Halves;
    a.norm = norm;
    a.norm_last = norm_last;
    a.table = table;
    a.positions = positions;
    a.chunk_tokens = chunk_tokens;
    const dim3 grid(static_cast<unsigned>((x.rows + kWarps - 1) / kWarps), static_cast<unsigned>(n_heads));
    dispatch(x.dtype, [&](auto t) {
        using T = decltype(t);
        if (norm.kind == NormKind::None ? a.n_rot <= 128 : a.head_dim <= 128)
            rotate_kernel<T, 2><<<grid, kThreads, 0, stream>>>(a);
        else
            rotate_kernel<T, 8><<<grid, kThreads, 0, stream>>>(a);
    });
    check(cudaGetLastError(), "rotating heads");
}

}  // namespace assay::backend::cuda
