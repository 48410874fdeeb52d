// What all attention kernels do with a product of query and key.
#pragma once

#include <cstdint>

#include "backend/cuda/score.h"

namespace assay::backend::cuda {

__device__ inline float capped(const ScoreArgs& a, float score) {
    return a.soft_cap > 0 ? a.soft_cap * tanhf(score / a.soft_cap) : score;
}

// What a query sees is a run of keys, none of whose ends moves back from one query to the next.

/// The first key that any of the queries from `query` on sees.
__device__ inline std::int64_t first_key(const ScoreArgs& a, std::int64_t query) {
    if (a.window == 0) return 0;
    switch (a.window_kind) {
        case WindowKind::Sliding: return query < a.window ? 0 : query - a.window + 1;
        case WindowKind::Chunked: return query / a.window * a.window;
        case WindowKind::Symmetric: return query < a.window / 2 ? 0 : query - a.window / 2;
    }
    return 0;
}

/// The last key that any of the queries up to `query` sees.
__device__ inline std::int64_t last_key(const ScoreArgs& a, std::int64_t query) {
    if (a.causal) return query;
    const std::int64_t last = a.chunk_tokens - 1;
    return a.window > 0 && a.window_kind == WindowKind::Symmetric ? min(last, query + a.window / 2) : last;
}

}  // namespace assay::backend::cuda
