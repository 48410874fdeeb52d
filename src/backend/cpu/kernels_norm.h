// Norms of rows, and the rotation of heads. Included like kernels_rows.h.
#pragma once

#include "backend/cpu/kernels_rows.h"

namespace assay::backend::cpu {
namespace {

/// What a norm multiplies by, of the sum of (x - mean)^2.
inline float norm_factor(const Norm& norm, float squares, float count) {
    switch (norm.kind) {
        case NormKind::None: break;
        case NormKind::Rms:
        case NormKind::Layer: return 1.0f / std::sqrt(squares / count + norm.eps);
        case NormKind::L2: return 1.0f / std::sqrt(squares + norm.eps);
        case NormKind::L2Max: return 1.0f / std::fmax(std::sqrt(squares), norm.eps);
    }
    return 1;
}

inline void norm_slice(const float* x, std::int64_t n, const Norm& norm, const float* weight,
                       const float* bias, float* y) {
    const auto count = static_cast<float>(n);
    float mean = 0;
    float factor = 1;
    if (norm.kind == NormKind::Layer) {
        mean = reduce(x, n, [](Floats v) { return v; }) / count;
        const float squares = reduce(x, n, [mean](Floats v) { return (v - mean) * (v - mean); });
        factor = norm_factor(norm, squares, count);
    } else if (norm.kind != NormKind::None) {
        factor = norm_factor(norm, reduce(x, n, [](Floats v) { return v * v; }), count);
    }
    map(x, n, y, [&](Floats v, std::int64_t i) {
        v = (v - mean) * factor;
        if (weight != nullptr) v *= load_upto(weight, i, n);
        if (bias != nullptr) v += load_upto(bias, i, n);
        return v;
    });
}

void norm_row(const float* x, std::int64_t n, const Norm& norm, float* y) {
    const std::int64_t length = n / norm.n_slices;
    for (std::int64_t first = 0; first < n; first += length) {
        const std::int64_t own = norm.repeats ? 0 : first;
        norm_slice(x + first, length, norm, norm.weight == nullptr ? nullptr : norm.weight + own,
                   norm.bias == nullptr ? nullptr : norm.bias + own, y + first);
    }
}

void rotate(float* head, const Rope& rope, const float* cosines, const float* sines) {
    const std::int64_t pairs = rope.n_rot / 2;
    const bool halves = rope.pairing == Pairing::Halves;
    const std::int64_t step = halves ? 1 : 2;
    float* one = head + rope.first;
    float* other = halves ? one + pairs : one + 1;
    for (std::int64_t i = 0; i < pairs; ++i) {
        const float a = one[i * step];
        const float b = other[i * step];
        const float sine = rope.backwards ? -sines[i] : sines[i];
        one[i * step] = a * cosines[i] - b * sine;
        other[i * step] = a * sine + b * cosines[i];
    }
}

}  // namespace
}  // namespace assay::backend::cpu
