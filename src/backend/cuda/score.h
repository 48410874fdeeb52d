// What becomes of a product of query and key, as kernels take it.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace assay::backend::cuda {

/// The numbers of AttentionArgs that a kernel needs.
struct ScoreArgs {
    explicit ScoreArgs(const AttentionArgs& args, std::int64_t n_tokens)
        : scale(args.scale),
          soft_cap(args.soft_cap),
          causal(args.causal),
          window(args.window),
          window_kind(args.window_kind),
          query_scale(args.query_scale),
          sinks(args.sinks),
          slopes(args.slopes),
          chunk_tokens(n_tokens) {}
    ScoreArgs() = default;

    float scale = 1;
    float soft_cap = 0;
    bool causal = true;
    std::int64_t window = 0;
    WindowKind window_kind = WindowKind::Sliding;
    const float* query_scale = nullptr;
    const float* sinks = nullptr;
    const float* slopes = nullptr;
    std::int64_t chunk_tokens = 0;
};

}  // namespace assay::backend::cuda
