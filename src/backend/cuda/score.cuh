// What both attention kernels do with a product of query and key.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace assay::backend::cuda {

/// The numbers of AttentionArgs that a kernel needs.
struct ScoreArgs {
    float scale = 1;
    float soft_cap = 0;
    std::int64_t window = 0;
    const float* query_scale = nullptr;
};

__device__ inline float capped(const ScoreArgs& a, float score) {
    return a.soft_cap > 0 ? a.soft_cap * tanhf(score / a.soft_cap) : score;
}

/// The first key that any of the queries from `query` on sees.
__device__ inline std::int64_t first_key(const ScoreArgs& a, std::int64_t query) {
    return a.window == 0 || query < a.window ? 0 : query - a.window + 1;
}

}  // namespace assay::backend::cuda
