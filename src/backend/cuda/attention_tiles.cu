// Attention on tensor cores: a block takes a tile of queries of one head and walks the tiles of keys they
// see, with the softmax kept relative to the maximum so far (Dao et al. 2022). Products in bf16 with f32
// accumulation, softmax in f32. The tiles start at the chunk's first position, so that a chunk's result does
// not depend on the call.
//
// Fragments of mma.m16n8k16 (PTX ISA): lane = 4 * g + t. An accumulator of 16 x 8 holds rows g and g + 8,
// columns 2t and 2t + 1: {(g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)}.
#include <algorithm>

#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/row_tiles.cuh"
#include "backend/cuda/score.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kKeyTile = 64;
constexpr float kLog2E = 1.4426950408889634f;

struct TileArgs {
    const Bf16* q;
    const Bf16* k;
    const Bf16* v;
    std::int64_t q_stride;
    std::int64_t k_stride;
    std::int64_t v_stride;
    int head_dim;
    int value_dim;
    int heads_per_kv;
    std::int64_t n_heads;
    RowTiles tiles;
    ScoreArgs score;
    bool wide;  ///< rows of q, k, v are 16-byte aligned and whole multiples of 8 elements
    Bf16* operand;
    std::int64_t operand_stride;
    float* plain;
    std::int64_t plain_stride;
    Partials partials;
};

__device__ unsigned shared_address(const void* p) {
    return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

__device__ void load_matrices(const Bf16* row, unsigned (&r)[4]) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

__device__ void load_matrices_transposed(const Bf16* row, unsigned (&r)[4]) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

__device__ void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ unsigned pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const unsigned*>(&pair);
}

__device__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/// A tile of rows in shared memory. Rows of kDim elements in pieces of 8, whose place is XORed with the row
/// so that eight rows of a column of pieces lie in different banks.
template <int kDim> __device__ Bf16* piece_at(Bf16* tile, int row, int piece) {
    return tile + row * kDim + ((piece ^ (row & 7)) * 8);
}

/// Starts copying rows first .. first + kRows of [.., dim] at `from`; what lies beyond is zero.
template <int kDim, int kRows, int kThreads>
__device__ void copy_tile(Bf16* tile, const Bf16* from, std::int64_t stride, std::int64_t first,
                          std::int64_t n_rows, int dim, bool wide) {
    constexpr int kPieces = kDim / 8;
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
        const int row = i / kPieces;
        const int piece = i % kPieces;
        Bf16* to = piece_at<kDim>(tile, row, piece);
        const bool inside = first + row < n_rows;
        const Bf16* source = from + (first + row) * stride + piece * 8;
        if (wide) {
            const int bytes = inside && piece * 8 < dim ? 16 : 0;  // the rest is filled with zeros
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                         "l"(bytes != 0 ? source : from), "r"(bytes));
        } else {
            for (int j = 0; j < 8; ++j)
                to[j] = inside && piece * 8 + j < dim ? source[j] : __float2bfloat16_rn(0.0f);
        }
    }
    asm volatile("cp.async.commit_group;");
}

template <int kPending> __device__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending));
}

/// Sums of the tile's rows per column, over the block's warps in order.
template <int kDim, int kWarps>
__device__ void leave_sums(const TileArgs& a, const float (&o)[kDim / 8][4], float* shared,
                           const bool (&present)[2], const float (&weight)[2], std::int64_t to, bool squares,
                           float* out) {
    const int warp = static_cast<int>(threadIdx.x / 32);
    const int lane = static_cast<int>(threadIdx.x % 32);
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
            const float x = present[0] ? o[n][c] : 0.0f;
            const float y = present[1] ? o[n][c + 2] : 0.0f;
            const float weighted_x = weight[0] * x;
            const float weighted_y = weight[1] * y;
            float sum = squares ? weighted_x * x + weighted_y * y : weighted_x + weighted_y;
            sum += __shfl_xor_sync(0xffffffffu, sum, 4);
            sum += __shfl_xor_sync(0xffffffffu, sum, 8);
            sum += __shfl_xor_sync(0xffffffffu, sum, 16);
            if (lane < 4) shared[warp * kDim + n * 8 + 2 * lane + c] = sum;
        }
    }
    __syncthreads();
    for (int col = static_cast<int>(threadIdx.x); col < a.value_dim; col += kWarps * 32) {
        float sum = 0;
        for (int w = 0; w < kWarps; ++w) sum += shared[w * kDim + col];
        out[to + col] = sum;
    }
}

template <int kDim, int kStages>
constexpr int kSharedBytes = (kQueryTile + 2 * kStages * kKeyTile) * kDim * 2;

/// kWarps warps of 16 queries make one tile. kDim holds head_dim and value_dim.
template <int kDim, int kStages>
__global__ void __launch_bounds__(kQueryTile * 2, kDim <= 128 ? 2 : 1) tile_kernel(TileArgs a) {
    constexpr int kWarps = kQueryTile / 16;
    constexpr int kThreads = kWarps * 32;
    extern __shared__ __align__(128) unsigned char shared[];
    Bf16* q_tile = reinterpret_cast<Bf16*>(shared);
    Bf16* k_tiles = q_tile + kQueryTile * kDim;
    Bf16* v_tiles = k_tiles + kStages * kKeyTile * kDim;

    const int warp = static_cast<int>(threadIdx.x / 32);
    const int lane = static_cast<int>(threadIdx.x % 32);
    const unsigned index =
        blockIdx.z * gridDim.x + gridDim.x - 1 - blockIdx.x;  // of a chunk the longest first
    const std::int64_t head = blockIdx.y;
    const RowTile tile = tile_at(a.tiles, index);
    const std::int64_t base = tile.chunk_begin;
    const std::int64_t first_query = tile.first - base;
    const std::int64_t n_tokens = tile.chunk_end - base;
    ScoreArgs score = a.score;
    score.chunk_tokens = n_tokens;
    const Bf16* q = a.q + base * a.q_stride + head * a.head_dim;
    const Bf16* k = a.k + base * a.k_stride + head / a.heads_per_kv * a.head_dim;
    const Bf16* v = a.v + base * a.v_stride + head / a.heads_per_kv * a.value_dim;

    const std::int64_t last_query = min(first_query + kQueryTile, n_tokens) - 1;
    const std::int64_t first_tile = first_key(score, first_query) / kKeyTile;
    const std::int64_t last_tile = last_key(score, last_query) / kKeyTile;
    const auto fetch = [&](std::int64_t key_tile) {
        const std::int64_t stage = (key_tile - first_tile) % kStages;
        copy_tile<kDim, kKeyTile, kThreads>(k_tiles + stage * kKeyTile * kDim, k, a.k_stride,
                                            key_tile * kKeyTile, n_tokens, a.head_dim, a.wide);
        copy_tile<kDim, kKeyTile, kThreads>(v_tiles + stage * kKeyTile * kDim, v, a.v_stride,
                                            key_tile * kKeyTile, n_tokens, a.value_dim, a.wide);
    };
    copy_tile<kDim, kQueryTile, kThreads>(q_tile, q, a.q_stride, first_query, n_tokens, a.head_dim, a.wide);
    fetch(first_tile);

    // This lane's two queries.
    const std::int64_t warp_query = first_query + warp * 16;
    const std::int64_t query[2] = {warp_query + lane / 4, warp_query + lane / 4 + 8};
    float factor[2];
    for (int i = 0; i < 2; ++i) {
        const bool scaled = score.query_scale != nullptr && query[i] < n_tokens;
        factor[i] = scaled ? score.scale * score.query_scale[query[i]] : score.scale;
        if (score.soft_cap == 0) factor[i] *= kLog2E;  // else after the cap
    }
    float maximum[2] = {-INFINITY, -INFINITY};
    float sum[2] = {0, 0};
    float o[kDim / 8][4] = {};

    for (std::int64_t key_tile = first_tile; key_tile <= last_tile; ++key_tile) {
        const bool more = key_tile < last_tile;
        if (kStages > 1 && more) {
            fetch(key_tile + 1);
            wait_for_copies<2>();
        } else {
            wait_for_copies<0>();
        }
        __syncthreads();
        const std::int64_t stage = (key_tile - first_tile) % kStages;
        Bf16* k_tile = k_tiles + stage * kKeyTile * kDim;
        Bf16* v_tile = v_tiles + stage * kKeyTile * kDim;
        const std::int64_t first = key_tile * kKeyTile;
        const bool visible =
            first <= last_key(score, warp_query + 15) && first + kKeyTile > first_key(score, warp_query);
        if (visible) {
            float s[kKeyTile / 8][4] = {};
#pragma unroll
            for (int step = 0; step < kDim / 16; ++step) {
                unsigned qf[4];
                load_matrices(piece_at<kDim>(q_tile, warp * 16 + (lane & 15), 2 * step + (lane >> 4)), qf);
#pragma unroll
                for (int n = 0; n < kKeyTile / 16; ++n) {
                    unsigned kf[4];
                    const int key = n * 16 + (lane & 7) + ((lane >> 4) << 3);
                    load_matrices(piece_at<kDim>(k_tile, key, 2 * step + (lane >> 3 & 1)), kf);
                    multiply_add(s[2 * n], qf, kf[0], kf[1]);
                    multiply_add(s[2 * n + 1], qf, kf[2], kf[3]);
                }
            }
            // Scores in units of ln 2, masked only where the tile can hold a key that is not seen.
            const bool all_seen = first + kKeyTile - 1 <= last_key(score, warp_query) &&
                                  first >= first_key(score, warp_query + 15);
            float highest[2] = {maximum[0], maximum[1]};
#pragma unroll
            for (int n = 0; n < kKeyTile / 8; ++n) {
#pragma unroll
                for (int c = 0; c < 4; ++c) s[n][c] *= factor[c / 2];
            }
            if (score.soft_cap > 0) {
#pragma unroll
                for (int n = 0; n < kKeyTile / 8; ++n) {
#pragma unroll
                    for (int c = 0; c < 4; ++c) s[n][c] = kLog2E * capped(score, s[n][c]);
                }
            }
            if (score.slopes != nullptr) {
                const float slope = kLog2E * score.slopes[head];
                const auto own = static_cast<int>(first) + 2 * (lane & 3);
#pragma unroll
                for (int n = 0; n < kKeyTile / 8; ++n) {
#pragma unroll
                    for (int c = 0; c < 4; ++c) {
                        const int distance = static_cast<int>(query[c / 2]) - (own + n * 8 + c % 2);
                        s[n][c] -= slope * static_cast<float>(abs(distance));
                    }
                }
            }
            if (!all_seen) {
                // Keys of this lane are seen from `oldest` to `newest`, counted from the lane's first.
                const int own = static_cast<int>(first) + 2 * (lane & 3);
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    const int newest = static_cast<int>(last_key(score, query[i])) - own;
                    const int oldest = static_cast<int>(first_key(score, query[i])) - own;
#pragma unroll
                    for (int n = 0; n < kKeyTile / 8; ++n) {
#pragma unroll
                        for (int c = 0; c < 2; ++c) {
                            const int key = n * 8 + c;
                            if (key > newest || key < oldest) s[n][2 * i + c] = -INFINITY;
                        }
                    }
                }
            }
#pragma unroll
            for (int n = 0; n < kKeyTile / 8; ++n) {
#pragma unroll
                for (int c = 0; c < 4; ++c) highest[c / 2] = fmaxf(highest[c / 2], s[n][c]);
            }
            float correction[2];
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                highest[i] = fmaxf(highest[i], __shfl_xor_sync(0xffffffffu, highest[i], 1));
                highest[i] = fmaxf(highest[i], __shfl_xor_sync(0xffffffffu, highest[i], 2));
                // A query may see nothing of its first tiles under a window; infinity less infinity is no
                // number.
                const float reference = highest[i] == -INFINITY ? 0.0f : highest[i];
                correction[i] = exp2_fast(maximum[i] - reference);
                maximum[i] = highest[i];
                highest[i] = reference;
                sum[i] *= correction[i];
            }
#pragma unroll
            for (int n = 0; n < kKeyTile / 8; ++n) {
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    s[n][c] = exp2_fast(s[n][c] - highest[c / 2]);
                    sum[c / 2] += s[n][c];
                }
            }
#pragma unroll
            for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
                for (int c = 0; c < 4; ++c) o[n][c] *= correction[c / 2];
            }
#pragma unroll
            for (int step = 0; step < kKeyTile / 16; ++step) {
                const unsigned pf[4] = {pack(s[2 * step][0], s[2 * step][1]),
                                        pack(s[2 * step][2], s[2 * step][3]),
                                        pack(s[2 * step + 1][0], s[2 * step + 1][1]),
                                        pack(s[2 * step + 1][2], s[2 * step + 1][3])};
#pragma unroll
                for (int n = 0; n < kDim / 16; ++n) {
                    unsigned vf[4];
                    load_matrices_transposed(
                        piece_at<kDim>(v_tile, step * 16 + (lane & 15), 2 * n + (lane >> 4)), vf);
                    multiply_add(o[2 * n], pf, vf[0], vf[1]);
                    multiply_add(o[2 * n + 1], pf, vf[2], vf[3]);
                }
            }
        }
        __syncthreads();
        if (kStages == 1 && more) fetch(key_tile + 1);
    }

    // The four lanes of a query hold parts of its sum.
    float inverse[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], 1);
        sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], 2);
        inverse[i] = sum[i] > 0 ? 1.0f / sum[i] : 0.0f;
        if (score.sinks != nullptr) {
            const float sink = kLog2E * score.sinks[head];
            const float highest = fmaxf(maximum[i], sink);
            const float own = exp2_fast(maximum[i] - highest);
            inverse[i] = own / (sum[i] * own + exp2_fast(sink - highest));
        }
    }
    const bool present[2] = {query[0] < n_tokens, query[1] < n_tokens};
    const float weight[2] = {present[0] ? weight_at(a.tiles, base + query[0]) : 0.0f,
                             present[1] ? weight_at(a.tiles, base + query[1]) : 0.0f};
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
        for (int c = 0; c < 4; ++c) o[n][c] *= inverse[c / 2];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            if (!present[i]) continue;
            const int in_head = n * 8 + 2 * (lane & 3);
            const std::int64_t col = head * a.value_dim + in_head;
            const std::int64_t row = base + query[i];
            for (int c = 0; c < 2; ++c) {
                if (in_head + c >= a.value_dim) continue;
                if (a.plain != nullptr) a.plain[row * a.plain_stride + col + c] = o[n][2 * i + c];
                if (a.operand != nullptr && !a.wide)
                    a.operand[row * a.operand_stride + col + c] = __float2bfloat16_rn(o[n][2 * i + c]);
            }
            if (a.operand != nullptr && a.wide && in_head < a.value_dim)
                *reinterpret_cast<unsigned*>(a.operand + row * a.operand_stride + col) =
                    pack(o[n][2 * i], o[n][2 * i + 1]);
        }
    }
    const std::int64_t to = index * a.partials.cols + head * a.value_dim;
    float* scratch = reinterpret_cast<float*>(shared);
    if (a.partials.squares != nullptr)
        leave_sums<kDim, kWarps>(a, o, scratch, present, weight, to, true, a.partials.squares);
    if (a.partials.plain != nullptr)
        leave_sums<kDim, kWarps>(a, o, scratch, present, weight, to, false, a.partials.plain);
}

template <int kDim, int kStages> void launch(const TileArgs& a, cudaStream_t stream) {
    constexpr int kBytes = kSharedBytes<kDim, kStages>;
    check(
        cudaFuncSetAttribute(tile_kernel<kDim, kStages>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
        "reserving shared memory for attention");
    const dim3 grid(a.tiles.grid_tiles(), static_cast<unsigned>(a.n_heads), a.tiles.grid_chunks());
    tile_kernel<kDim, kStages><<<grid, kQueryTile * 2, kBytes, stream>>>(a);
    check(cudaGetLastError(), "attention");
}

/// Rows that start at 16-byte boundaries, with heads of whole pieces.
bool is_wide(const View& view, std::int64_t dim) {
    return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0 && dim % 8 == 0;
}

}  // namespace

void attention_tiles(const AttentionArgs& args, const RowTiles& tiles, const Produced& out,
                     const Partials& partials, cudaStream_t stream) {
    if (tiles.n == 0) return;
    TileArgs a{};
    a.q = static_cast<const Bf16*>(args.q.data);
    a.k = static_cast<const Bf16*>(args.k.data);
    a.v = static_cast<const Bf16*>(args.v.data);
    a.q_stride = args.q.stride;
    a.k_stride = args.k.stride;
    a.v_stride = args.v.stride;
    a.head_dim = static_cast<int>(args.head_dim);
    a.value_dim = static_cast<int>(args.value_dim);
    a.heads_per_kv = static_cast<int>(args.n_heads / args.n_kv_heads);
    a.n_heads = args.n_heads;
    a.tiles = tiles;
    a.score = ScoreArgs(args, 0);  // the kernel knows how long its chunk is
    a.wide = is_wide(args.q, args.head_dim) && is_wide(args.k, args.head_dim) &&
             is_wide(args.v, args.value_dim) &&
             (!out.operand.present() || is_wide(out.operand, args.value_dim));
    a.operand = static_cast<Bf16*>(out.operand.data);
    a.operand_stride = out.operand.stride;
    a.plain = static_cast<float*>(out.plain.data);
    a.plain_stride = out.plain.stride;
    a.partials = partials;
    const std::int64_t dim = std::max(args.head_dim, args.value_dim);
    if (dim <= 64) return launch<64, 2>(a, stream);
    if (dim <= 128) return launch<128, 2>(a, stream);
    return launch<256, 1>(a, stream);
}

}  // namespace assay::backend::cuda
