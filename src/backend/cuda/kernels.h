// The operations' kernels, one function and one .cu file each. All pointers are device memory, all work goes
// to the given stream and nothing waits.
#pragma once

#include <cstdint>
#include <cuda_runtime_api.h>

#include "backend/backend.h"
#include "backend/cuda/sums.h"

namespace assay::backend::cuda {

/// Rows of a tile share one block; their column sums are added in row order. Fixed, so that sums do not
/// depend on the call.
inline constexpr int kProduceTile = 16;
inline constexpr int kGatedTile = 64;
inline constexpr int kQueryTile = 128;
inline constexpr int kChainTile = 32;
/// Rows that a thread of a convolution takes; those before them are read again.
inline constexpr int kConvolveTile = 64;

/// norm(x) to out's operand and plain form, and its partial sums; one slice. x f32 or bf16. With a norm at
/// most 32768 columns.
void produce(View x, const Norm& norm, const RowTiles& tiles, const Produced& out, const Partials& partials,
             cudaStream_t stream);
/// out = norm(x), each slice by itself, of any length; out may be x. f32 or bf16 on either side.
void norm_slices(View x, const Norm& norm, View out, cudaStream_t stream);
/// residual += scale * norm(x).
void add_rows(View x, const Norm& norm, float scale, View residual, cudaStream_t stream);

/// function(gate + bias, up + bias) of product [rows, 2 * ffn].
void gate(View product, const float* bias, const GateFunction& function, const RowTiles& tiles,
          const Produced& out, const Partials& partials, cudaStream_t stream);

/// table [chunk_tokens, n_rot/2]: cosine and sine times magnitude.
void rotation_table(const Rope& rope, std::int64_t chunk_tokens, float2* table, cudaStream_t stream);
/// At most kMostTurned components turn; with a norm, heads have no more. positions [rows], or null: those of
/// chunks of chunk_tokens.
void rotate(View x, std::int64_t n_heads, const Norm& norm, bool norm_last, const Rope& rope,
            const float2* table, const std::int32_t* positions, std::int64_t chunk_tokens,
            cudaStream_t stream);
inline constexpr std::int64_t kMostTurned = 512;
/// out [rows, n_heads * count] = columns [first, first + count) of each head of x.
void copy_columns(View x, const HeadColumns& heads, View out, cudaStream_t stream);

/// Tensor cores; q, k, v bf16, heads up to kMostTiledHead.
void attention_tiles(const AttentionArgs& args, const RowTiles& tiles, const Produced& out,
                     const Partials& partials, cudaStream_t stream);
inline constexpr std::int64_t kMostTiledHead = 256;
/// Whether CudaBackend::attention_products takes these: bf16, heads in whole 16-byte pieces.
bool fits_products(const AttentionArgs& args);
/// Of chunks of one length. In f32, several times slower; q, k, v f32 or bf16, heads up to kMostQueryHead;
/// leaves no sums.
void attention_queries(const AttentionArgs& args, Rows rows, const Produced& out, cudaStream_t stream);
inline constexpr std::int64_t kMostQueryHead = 640;

/// Rows of mixers other than attention, as backend.h says; shapes have been checked. x of chains f32 or bf16.
void chain(View x, std::span<const Link> links, const RowTiles& tiles, const Produced& out,
           const Partials& partials, cudaStream_t stream);
void convolve(const ConvolveArgs& args, const RowTiles& tiles, View out, cudaStream_t stream);
void scan(const ScanArgs& args, const ChunkSpans& chunks, std::int64_t n_chunks, View out,
          cudaStream_t stream);
void selective_scan(const SelectiveScanArgs& args, const ChunkSpans& chunks, std::int64_t n_chunks, View out,
                    cudaStream_t stream);
void mix(View x, View coefficients, std::int64_t n_in, std::int64_t n_out, bool accumulate, View out,
         cudaStream_t stream);
void reduce(View x, Reduction kind, std::int64_t n_slices, View out, cudaStream_t stream);
void softmax(View x, std::int64_t n_slices, View out, cudaStream_t stream);
void sinkhorn(View x, std::int64_t n, std::int64_t iterations, float eps, View out, cudaStream_t stream);
void pool(const PoolArgs& args, const RowPositions& rows, View out, cudaStream_t stream);
/// Keys of at most kMostIndexerHead components.
void select(const SelectArgs& args, const RowPositions& rows, View out, cudaStream_t stream);
inline constexpr std::int64_t kMostIndexerHead = 256;

/// out = x, rounded. Same shape.
void round_rows(View x, View out, cudaStream_t stream);
/// out [rows, 3]: a.a, b.b, a.b.
void row_dots(View a, View b, double* out, cudaStream_t stream);

/// One side of a row so far.
struct ScoreSide {
    float maximum;
    float target_logit;
    double sum;        ///< of exponentials relative to maximum
    double weighted;   ///< of exponentials times a - b; of side a only
    std::int64_t top;  ///< entry of the vocabulary with the largest logit
};
struct ScoreRow {
    ScoreSide a;
    ScoreSide b;  ///< of no variant: nothing
};

/// A panel of products, a and b [rows, n]: targets and state start at the panel's first row.
struct ScorePanel {
    View a;
    View b;                         ///< absent: there is no variant
    const float* bias_a = nullptr;  ///< [n]; null: 0
    const float* bias_b = nullptr;
    const std::int32_t* targets = nullptr;  ///< negative: the row has none
    Logits logits;
    ScoreRow* state = nullptr;
};
void start_scores(std::int64_t rows, ScoreRow* state, cudaStream_t stream);
void fold_scores(const ScorePanel& panel, cudaStream_t stream);

}  // namespace assay::backend::cuda
