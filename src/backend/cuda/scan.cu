// Linear attention: a block carries value columns of one head's state through a chunk, in registers.
//
// A thread holds 16 rows by 4 columns of the state S [key_dim, value_dim]; the lanes that share its columns
// hold the other rows, so a sum over the keys is 16 additions in a thread and a few exchanges in a warp. Rows
// of q, k and the like come through shared memory, a few tokens ahead of their use.
//
// Cost: an element of the state takes three operations a token (Gated, Bonus), four (Delta) or five (Rank1),
// and memory gives its four numbers (q, k, v, out) for every head_dim of them. At 64 chunks x 32 heads x 128
// x 128, 512 tokens, that is 1.3e11 (Delta: 1.4e11) floating-point operations over 2.1 GB: what bounds it is
// the issue of f32 instructions, 2.4 ms (Delta) on a device of 132 multiprocessors at 1.7 GHz, against 0.7 ms
// for the memory. Reads of shared memory and exchanges have units of their own and stay below it, because
// each number that is read meets four columns.
#include <algorithm>
#include <cuda_pipeline.h>

#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/row_tiles.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kRows = 16;  ///< of the state, in a thread
constexpr int kCols = 4;

struct Strided {
    const float* data;
    std::int64_t stride;
};

struct ScanParameters {
    Strided q, k, v, decay, beta, a, b;
    const float* constant_decay;
    const float* bonus;
    bool decay_by_key;
    int n_heads;
    int n_key_heads;
    int key_dim;
    int value_dim;
    ChunkSpans chunks;
    bool interleaved;
    float scale;
    float* out;
    std::int64_t out_stride;
};

/// Rows by key that are staged of each token.
enum Staged { kQ, kK, kW, kA, kB, kStagedArrays };

/// kLanes lanes share columns: keys of up to 16 * kLanes components.
template <ScanKind kKind, bool kByKey, int kLanes> struct Plan {
    static constexpr int kKeys = kRows * kLanes;
    static constexpr int kTokens = 512 / kKeys;  ///< staged at a time
    static constexpr int kWarpCols = 32 / kLanes * kCols;
    static constexpr int kMaxWarps = kLanes == 4 ? 4 : 8;
    static constexpr int kBlockCols = kMaxWarps * kWarpCols;
    static constexpr int kArrays = kKind == ScanKind::Rank1 ? 5 : kByKey ? 3 : 2;

    struct Stage {
        alignas(16) float keys[kArrays][kTokens][kKeys];
        alignas(16) float values[kTokens][kBlockCols];
        float decay[kTokens];
        float beta[kTokens];
    };
};

/// Sums of four columns over the kLanes lanes that share them; a lane gets that of column lane % 4.
template <int kLanes> __device__ float column_sum(const float (&x)[kCols], unsigned lane) {
    constexpr unsigned kAll = 0xffffffffu;
    const bool upper = (lane & 2) != 0;
    const bool odd = (lane & 1) != 0;
    const float even_part = (upper ? x[2] : x[0]) + __shfl_xor_sync(kAll, upper ? x[0] : x[2], 2);
    const float odd_part = (upper ? x[3] : x[1]) + __shfl_xor_sync(kAll, upper ? x[1] : x[3], 2);
    float sum = (odd ? odd_part : even_part) + __shfl_xor_sync(kAll, odd ? even_part : odd_part, 1);
#pragma unroll
    for (int offset = 4; offset < kLanes; offset *= 2) sum += __shfl_xor_sync(kAll, sum, offset);
    return sum;
}

/// The number of each of four columns, of which a lane has that of column lane % 4.
__device__ inline void share_columns(float own, float (&x)[kCols]) {
#pragma unroll
    for (int c = 0; c < kCols; ++c) x[c] = __shfl_sync(0xffffffffu, own, c, 4);
}

/// A thread's rows of a key: runs of four, the lanes' runs side by side.
template <int kLanes> __device__ void load_rows(const float* key, unsigned lane, float (&x)[kRows]) {
#pragma unroll
    for (int m = 0; m < kRows / 4; ++m) {
        const float4 run = reinterpret_cast<const float4*>(key)[m * kLanes + lane];
        x[4 * m] = run.x;
        x[4 * m + 1] = run.y;
        x[4 * m + 2] = run.z;
        x[4 * m + 3] = run.w;
    }
}

/// Starts the copies of a few tokens' rows. What a key has not stays as it is: zero.
template <ScanKind kKind, bool kByKey, int kLanes>
__device__ void stage(const ScanParameters& p, typename Plan<kKind, kByKey, kLanes>::Stage& to,
                      std::int64_t row, int n_tokens, int head, int key_head, int first_col) {
    using P = Plan<kKind, kByKey, kLanes>;
    const int thread = static_cast<int>(threadIdx.x);
    const int n_threads = static_cast<int>(blockDim.x);
    const auto copy_keys = [&](Staged array, const Strided& from, int col, int step) {
        for (int i = thread; i < P::kTokens * P::kKeys; i += n_threads) {
            const int token = i / P::kKeys;
            const int key = i % P::kKeys;
            if (token < n_tokens && key < p.key_dim)
                __pipeline_memcpy_async(&to.keys[array][token][key],
                                        from.data + (row + token) * from.stride + col + key * step, 4);
        }
    };
    copy_keys(kQ, p.q, key_head * p.key_dim, 1);
    copy_keys(kK, p.k, key_head * p.key_dim, 1);
    if constexpr (kByKey) {
        if (p.constant_decay == nullptr)
            copy_keys(kW, p.decay, p.decay_by_key ? head * p.key_dim : head, p.decay_by_key ? 1 : 0);
    }
    if constexpr (kKind == ScanKind::Rank1) {
        copy_keys(kA, p.a, head * p.key_dim, 1);
        copy_keys(kB, p.b, head * p.key_dim, 1);
    }
    for (int i = thread; i < P::kTokens * P::kBlockCols; i += n_threads) {
        const int token = i / P::kBlockCols;
        const int col = first_col + i % P::kBlockCols;
        if (token < n_tokens && col < p.value_dim)
            __pipeline_memcpy_async(&to.values[token][i % P::kBlockCols],
                                    p.v.data + (row + token) * p.v.stride + head * p.value_dim + col, 4);
    }
    if (thread < n_tokens) {
        if (!kByKey && p.constant_decay == nullptr)
            __pipeline_memcpy_async(&to.decay[thread], p.decay.data + (row + thread) * p.decay.stride + head,
                                    4);
        if constexpr (kKind == ScanKind::Delta)
            __pipeline_memcpy_async(&to.beta[thread], p.beta.data + (row + thread) * p.beta.stride + head, 4);
    }
    __pipeline_commit();
}

/// What is the same for all tokens: zeros behind the keys and values, a constant decay.
template <ScanKind kKind, bool kByKey, int kLanes>
__device__ void clear(const ScanParameters& p, typename Plan<kKind, kByKey, kLanes>::Stage& stage, int head) {
    using P = Plan<kKind, kByKey, kLanes>;
    const int n_threads = static_cast<int>(blockDim.x);
    for (int i = static_cast<int>(threadIdx.x); i < static_cast<int>(sizeof stage / sizeof(float));
         i += n_threads)
        reinterpret_cast<float*>(&stage)[i] = 0;
    if (p.constant_decay == nullptr) return;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < P::kTokens * P::kKeys; i += n_threads) {
        if constexpr (kByKey) stage.keys[kW][i / P::kKeys][i % P::kKeys] = p.constant_decay[head];
        if (i < P::kTokens) stage.decay[i] = p.constant_decay[head];
    }
}

/// One token: the new state, and what leaves of column lane % 4, not scaled.
template <ScanKind kKind, bool kByKey, int kLanes>
__device__ float advance(const typename Plan<kKind, kByKey, kLanes>::Stage& from, int token, int first_col,
                         unsigned lane, const float* bonus, float (&s)[kRows][kCols]) {
    float k[kRows], q[kRows], w[kByKey ? kRows : 1];
    load_rows<kLanes>(from.keys[kK][token], lane, k);
    if constexpr (kByKey)
        load_rows<kLanes>(from.keys[kW][token], lane, w);
    else
        w[0] = from.decay[token];
    const auto decay = [&](int r) { return w[kByKey ? r : 0]; };
    const auto each = [](auto body) {
#pragma unroll
        for (int r = 0; r < kRows; ++r)
#pragma unroll
            for (int c = 0; c < kCols; ++c) body(r, c);
    };
    const float* values = from.values[token] + first_col;
    float o[kCols] = {};
    float known[kCols] = {};  // what the state already says of this token
    if constexpr (kKind == ScanKind::Delta) {
        each([&](int r, int c) {
            s[r][c] *= decay(r);
            known[c] += k[r] * s[r][c];
        });
        const float own = column_sum<kLanes>(known, lane);
        share_columns(from.beta[token] * (values[lane % kCols] - own), known);
        load_rows<kLanes>(from.keys[kQ][token], lane, q);
        each([&](int r, int c) {
            s[r][c] += k[r] * known[c];
            o[c] += q[r] * s[r][c];
        });
    } else {
        float b[kRows];
        if constexpr (kKind == ScanKind::Rank1) {
            float a[kRows];
            load_rows<kLanes>(from.keys[kA][token], lane, a);
            each([&](int r, int c) { known[c] += a[r] * s[r][c]; });
            share_columns(column_sum<kLanes>(known, lane), known);
            load_rows<kLanes>(from.keys[kB][token], lane, b);
        }
        load_rows<kLanes>(from.keys[kQ][token], lane, q);
        const float4 run = *reinterpret_cast<const float4*>(values);
        const float v[kCols] = {run.x, run.y, run.z, run.w};
        if constexpr (kKind == ScanKind::Bonus) {
            float u[kRows];
            load_rows<kLanes>(bonus, lane, u);
            float factor = 0;
#pragma unroll
            for (int r = 0; r < kRows; ++r) factor += q[r] * u[r] * k[r];
#pragma unroll
            for (int c = 0; c < kCols; ++c) o[c] = factor * v[c];
        }
        each([&](int r, int c) {
            if constexpr (kKind == ScanKind::Bonus) o[c] += q[r] * s[r][c];
            s[r][c] = decay(r) * s[r][c] + k[r] * v[c];
            if constexpr (kKind == ScanKind::Rank1) s[r][c] += b[r] * known[c];
            if constexpr (kKind != ScanKind::Bonus) o[c] += q[r] * s[r][c];
        });
    }
    return column_sum<kLanes>(o, lane);
}

template <ScanKind kKind, bool kByKey, int kLanes>
__global__ void __launch_bounds__(32 * Plan<kKind, kByKey, kLanes>::kMaxWarps,
                                  16 / Plan<kKind, kByKey, kLanes>::kMaxWarps)
    scan_kernel(const __grid_constant__ ScanParameters p) {
    using P = Plan<kKind, kByKey, kLanes>;
    __shared__ typename P::Stage stages[2];
    __shared__ alignas(16) float bonus[kKind == ScanKind::Bonus ? P::kKeys : 4];
    const int head = static_cast<int>(blockIdx.x) % p.n_heads;
    const int chunk = static_cast<int>(blockIdx.x) / p.n_heads;
    const std::int64_t begin = begin_of(p.chunks, chunk);
    const int n_tokens = static_cast<int>(begin_of(p.chunks, chunk + 1) - begin);
    const int key_head = p.interleaved ? head % p.n_key_heads : head / (p.n_heads / p.n_key_heads);
    const int block_col = static_cast<int>(blockIdx.y) * P::kBlockCols;
    const unsigned lane = threadIdx.x % kLanes;
    const int first_col = static_cast<int>(threadIdx.x) / 32 * P::kWarpCols +
                          static_cast<int>(threadIdx.x) % 32 / kLanes * kCols;
    const int own_col = block_col + first_col + static_cast<int>(lane);

    clear<kKind, kByKey, kLanes>(p, stages[0], head);
    clear<kKind, kByKey, kLanes>(p, stages[1], head);
    if constexpr (kKind == ScanKind::Bonus)
        for (int i = static_cast<int>(threadIdx.x); i < P::kKeys; i += static_cast<int>(blockDim.x))
            bonus[i] = i < p.key_dim ? p.bonus[head * p.key_dim + i] : 0.0f;
    __syncthreads();

    const auto fetch = [&](int first, int place) {
        stage<kKind, kByKey, kLanes>(p, stages[place], begin + first, min(P::kTokens, n_tokens - first), head,
                                     key_head, block_col);
    };
    float s[kRows][kCols] = {};
    fetch(0, 0);
    int place = 0;
    for (int first = 0; first < n_tokens; first += P::kTokens, place ^= 1) {
        if (first + P::kTokens < n_tokens) {
            fetch(first + P::kTokens, place ^ 1);
            __pipeline_wait_prior(1);
        } else {
            __pipeline_wait_prior(0);
        }
        __syncthreads();
        const int n = min(P::kTokens, n_tokens - first);
#pragma unroll 1
        for (int token = 0; token < n; ++token) {
            const float y = advance<kKind, kByKey, kLanes>(stages[place], token, first_col, lane, bonus, s);
            if (lane < kCols && own_col < p.value_dim)
                p.out[(begin + first + token) * p.out_stride + head * p.value_dim + own_col] = y * p.scale;
        }
        __syncthreads();
    }
}

template <ScanKind kKind, bool kByKey, int kLanes>
void launch(const ScanParameters& p, std::int64_t n_chunks, cudaStream_t stream) {
    using P = Plan<kKind, kByKey, kLanes>;
    const int cols = std::min(p.value_dim, P::kBlockCols);
    const int warps = (cols + P::kWarpCols - 1) / P::kWarpCols;
    const dim3 grid(static_cast<unsigned>(n_chunks * p.n_heads),
                    static_cast<unsigned>((p.value_dim + P::kBlockCols - 1) / P::kBlockCols));
    scan_kernel<kKind, kByKey, kLanes><<<grid, static_cast<unsigned>(32 * warps), 0, stream>>>(p);
    check(cudaGetLastError(), "a scan");
}

template <ScanKind kKind, bool kByKey>
void launch(const ScanParameters& p, std::int64_t n_chunks, cudaStream_t stream) {
    if (p.key_dim <= 64)
        launch<kKind, kByKey, 4>(p, n_chunks, stream);
    else if (p.key_dim <= 128)
        launch<kKind, kByKey, 8>(p, n_chunks, stream);
    else
        launch<kKind, kByKey, 16>(p, n_chunks, stream);
}

Strided strided(const View& view) { return {static_cast<const float*>(view.data), view.stride}; }

}  // namespace

void scan(const ScanArgs& args, const ChunkSpans& chunks, std::int64_t n_chunks, View out,
          cudaStream_t stream) {
    if (n_chunks == 0) return;
    ScanParameters p{};
    p.q = strided(args.q);
    p.k = strided(args.k);
    p.v = strided(args.v);
    p.decay = strided(args.decay);
    p.beta = strided(args.beta);
    p.a = strided(args.a);
    p.b = strided(args.b);
    p.constant_decay = args.decay.present() ? nullptr : args.constant_decay;
    p.bonus = args.bonus;
    p.decay_by_key = args.decay.present() && args.decay.cols != args.n_heads;
    p.n_heads = static_cast<int>(args.n_heads);
    p.n_key_heads = static_cast<int>(args.n_key_heads);
    p.key_dim = static_cast<int>(args.key_dim);
    p.value_dim = static_cast<int>(args.value_dim);
    p.chunks = chunks;
    p.interleaved = args.interleaved;
    p.scale = args.scale;
    p.out = static_cast<float*>(out.data);
    p.out_stride = out.stride;
    switch (args.kind) {
        case ScanKind::Gated:
            return p.decay_by_key ? launch<ScanKind::Gated, true>(p, n_chunks, stream)
                                  : launch<ScanKind::Gated, false>(p, n_chunks, stream);
        case ScanKind::Delta:
            return p.decay_by_key ? launch<ScanKind::Delta, true>(p, n_chunks, stream)
                                  : launch<ScanKind::Delta, false>(p, n_chunks, stream);
        case ScanKind::Bonus: return launch<ScanKind::Bonus, true>(p, n_chunks, stream);
        case ScanKind::Rank1: return launch<ScanKind::Rank1, true>(p, n_chunks, stream);
    }
}

}  // namespace assay::backend::cuda
