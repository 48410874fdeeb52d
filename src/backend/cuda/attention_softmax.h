// Attention for heads that tiles do not hold, and over chosen keys: two matrix products with a softmax
// between.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include "backend/cuda/score.h"

namespace assay::backend::cuda {

/// Queries [first_position, first_position + n_queries) of a chunk with n_heads heads from first_head on.
/// scores and weights: rows of `stride` columns, one a query and head; columns [0, n_keys) are keys, columns
/// from first_block_col on n_blocks blocks of keys, those beside them nothing.
struct SoftmaxArgs {
    float* scores = nullptr;
    __nv_bfloat16* weights = nullptr;
    std::int64_t stride = 0;
    std::int64_t n_keys = 0;
    std::int64_t first_block_col = 0;
    std::int64_t n_blocks = 0;
    std::int64_t block_tokens = 1;
    const float* chosen = nullptr;  ///< of the first query; null: all
    std::int64_t chosen_stride = 0;
    std::int64_t chosen_tokens = 1;
    std::int64_t first_position = 0;
    std::int64_t n_queries = 0;
    std::int64_t first_head = 0;
    std::int64_t n_heads = 0;
    bool heads_together = false;  ///< rows are [query, head], not [head, query]
    ScoreArgs score;
};
void attention_softmax(const SoftmaxArgs& args, cudaStream_t stream);

}  // namespace assay::backend::cuda
