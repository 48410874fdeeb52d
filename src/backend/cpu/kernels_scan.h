// Kernels that carry a state from token to token. Value columns (channels) are independent of one another, so
// vectors run over them and sums over the keys stay within a lane. Included like kernels_rows.h.
#pragma once

#include "backend/cpu/kernels_rows.h"

namespace assay::backend::cpu {
namespace {

constexpr int kStateVectors = static_cast<int>(kScanColumns) / kLanes;

/// One number for each column of a piece.
struct Columns {
    Floats v[kStateVectors];
};

template <typename Body> inline void each_vector(Body body) {
#pragma GCC unroll 8
    for (int c = 0; c < kStateVectors; ++c) body(c, c * kLanes);
}

inline Columns load_columns(const float* p, std::int64_t n) {
    Columns columns{};
    each_vector([&](int c, std::int64_t first) {
        if (first + kLanes <= n)
            columns.v[c] = load(p + first);
        else if (first < n)
            columns.v[c] = load_part(p + first, n - first);
    });
    return columns;
}

inline void store_columns(float* p, const Columns& columns, std::int64_t n) {
    each_vector([&](int c, std::int64_t first) {
        if (first + kLanes <= n)
            store(p + first, columns.v[c]);
        else if (first < n)
            store_part(p + first, columns.v[c], n - first);
    });
}

/// Sum of q u k over the keys: what a token's own value is read with before it is in the state.
inline float bonus_factor(const float* q, const float* u, const float* k, std::int64_t n) {
    Floats total{};
    for (std::int64_t i = 0; i < n; i += kLanes)
        total += load_upto(q, i, n) * load_upto(u, i, n) * load_upto(k, i, n);
    return sum_lanes(total);
}

template <ScanKind kKind> void scan_tokens(const ScanBlock& block) {
    std::memset(block.state, 0, static_cast<std::size_t>(block.key_dim * kScanColumns) * sizeof(float));
    const std::int64_t decay_step = block.decay_by_key ? 1 : 0;
    for (std::int64_t token = 0; token < block.n_tokens; ++token) {
        const float* q = block.q.at(token);
        const float* k = block.k.at(token);
        const float* w = block.decay.at(token);
        const Columns v = load_columns(block.v.at(token), block.n_cols);
        Columns o{};
        Columns known{};  // what the state already says of this token
        // Numbers of a key are read before the vectors that they meet: the state could be anywhere.
        if constexpr (kKind == ScanKind::Delta) {
            for (std::int64_t i = 0; i < block.key_dim; ++i) {
                float* row = block.state + i * kScanColumns;
                const float factor = w[i * decay_step];
                const float key = k[i];
                each_vector([&](int c, std::int64_t first) {
                    const Floats s = load(row + first) * factor;
                    store(row + first, s);
                    known.v[c] += key * s;
                });
            }
            const float beta = *block.beta.at(token);
            each_vector([&](int c, std::int64_t) { known.v[c] = beta * (v.v[c] - known.v[c]); });
            for (std::int64_t i = 0; i < block.key_dim; ++i) {
                float* row = block.state + i * kScanColumns;
                const float key = k[i];
                const float query = q[i];
                each_vector([&](int c, std::int64_t first) {
                    const Floats s = load(row + first) + key * known.v[c];
                    store(row + first, s);
                    o.v[c] += query * s;
                });
            }
        } else {
            const float* b = nullptr;
            if constexpr (kKind == ScanKind::Rank1) {
                const float* a = block.a.at(token);
                b = block.b.at(token);
                for (std::int64_t i = 0; i < block.key_dim; ++i)
                    each_vector([&](int c, std::int64_t first) {
                        known.v[c] += a[i] * load(block.state + i * kScanColumns + first);
                    });
            }
            for (std::int64_t i = 0; i < block.key_dim; ++i) {
                float* row = block.state + i * kScanColumns;
                const float factor = w[i * decay_step];
                const float key = k[i];
                const float query = q[i];
                const float along = kKind == ScanKind::Rank1 ? b[i] : 0.0f;
                each_vector([&](int c, std::int64_t first) {
                    const Floats old = load(row + first);
                    Floats s = old * factor + key * v.v[c];
                    if constexpr (kKind == ScanKind::Rank1) s += along * known.v[c];
                    store(row + first, s);
                    o.v[c] += query * (kKind == ScanKind::Bonus ? old : s);
                });
            }
            if constexpr (kKind == ScanKind::Bonus) {
                const float own = bonus_factor(q, block.bonus, k, block.key_dim);
                each_vector([&](int c, std::int64_t) { o.v[c] += own * v.v[c]; });
            }
        }
        each_vector([&](int c, std::int64_t) { o.v[c] *= block.scale; });
        store_columns(block.out + token * block.out_stride, o, block.n_cols);
    }
}

void scan(const ScanBlock& block) {
    switch (block.kind) {
        case ScanKind::Gated: return scan_tokens<ScanKind::Gated>(block);
        case ScanKind::Delta: return scan_tokens<ScanKind::Delta>(block);
        case ScanKind::Bonus: return scan_tokens<ScanKind::Bonus>(block);
        case ScanKind::Rank1: return scan_tokens<ScanKind::Rank1>(block);
    }
}

void selective_scan(const SelectiveBlock& block) {
    std::memset(block.state, 0, static_cast<std::size_t>(block.n_state * kScanColumns) * sizeof(float));
    const Columns d = load_columns(block.d, block.n_channels);
    for (std::int64_t token = 0; token < block.n_tokens; ++token) {
        const Columns x = load_columns(block.x.at(token), block.n_channels);
        const Columns dt = load_columns(block.dt.at(token), block.n_channels);
        const float* b = block.b.at(token);
        const float* read = block.c.at(token);
        Columns o;
        for (int c = 0; c < kStateVectors; ++c) {
            const Floats step = dt.v[c] * x.v[c];
            Floats sum = d.v[c] * x.v[c];
            for (std::int64_t n = 0; n < block.n_state; ++n) {
                const std::int64_t at = n * kScanColumns + c * kLanes;
                const Floats s = exp(dt.v[c] * load(block.a + at)) * load(block.state + at) + step * b[n];
                store(block.state + at, s);
                sum += s * read[n];
            }
            o.v[c] = sum;
        }
        store_columns(block.out + token * block.out_stride, o, block.n_channels);
    }
}

}  // namespace
}  // namespace assay::backend::cpu
