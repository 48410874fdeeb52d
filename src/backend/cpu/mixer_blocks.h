// What the kernels of convolutions and scans take: pieces of a chunk small enough for a processor's caches.
#pragma once

#include <cstdint>

#include "core/kinds.h"

namespace assay::backend::cpu {

/// Rows of a piece, one a token; stride 0: the same for all.
struct TokenRows {
    const float* data = nullptr;
    std::int64_t stride = 0;

    const float* at(std::int64_t token) const noexcept { return data + token * stride; }
};

/// Columns of one row of a depthwise convolution.
struct ConvolveRow {
    const float* x = nullptr;  ///< of this row; the rows before that count lie x_stride apart
    std::int64_t x_stride = 0;
    std::int64_t n_taps = 0;        ///< rows of x that count: less than the kernel where the chunk begins
    const float* weight = nullptr;  ///< [n_taps, n], the oldest row's first
    std::int64_t weight_stride = 0;
    const float* bias = nullptr;  ///< or null
    Activation activation = Activation::Identity;
    std::int64_t n = 0;
    float* out = nullptr;
};

/// Columns of a state that one task carries through a chunk: [256, 32] f32 are what a second-level cache
/// holds beside the rows, [128, 32] stay in the first.
constexpr std::int64_t kScanColumns = 32;

/// One head of one chunk, and at most kScanColumns of its value columns: ScanKind.
struct ScanBlock {
    ScanKind kind = ScanKind::Gated;
    std::int64_t n_tokens = 0;
    std::int64_t key_dim = 0;
    std::int64_t n_cols = 0;
    TokenRows q, k, v, decay;
    bool decay_by_key = false;  ///< a factor for each row of the state, not one for all
    TokenRows beta;
    TokenRows a, b;
    const float* bonus = nullptr;
    float scale = 1;
    float* state = nullptr;  ///< [key_dim, kScanColumns], overwritten
    float* out = nullptr;    ///< [n_tokens, n_cols]
    std::int64_t out_stride = 0;
};

/// At most kScanColumns channels of a selective scan over one chunk.
struct SelectiveBlock {
    std::int64_t n_tokens = 0;
    std::int64_t n_state = 0;
    std::int64_t n_channels = 0;
    TokenRows x, dt, b, c;
    const float* a = nullptr;  ///< [n_state, kScanColumns], zeros behind n_channels
    const float* d = nullptr;  ///< [n_channels]
    float* state = nullptr;    ///< [n_state, kScanColumns], overwritten
    float* out = nullptr;
    std::int64_t out_stride = 0;
};

}  // namespace assay::backend::cpu
