// Kernels of chains, convolutions and mixed streams. Included like kernels_rows.h.
#pragma once

#include "backend/cpu/kernels_activate.h"

namespace assay::backend::cpu {
namespace {

void apply_link(const Link& link, const float* operand, std::int64_t n, float* y) {
    const auto each = [&](auto body) { map(y, n, y, body); };
    switch (link.kind) {
        case LinkKind::Apply:
            return with_activation(link.activation, [&](auto function) {
                each([&](Floats v, std::int64_t) { return function(v); });
            });
        case LinkKind::Affine: return each([&](Floats v, std::int64_t) { return v * link.a + link.b; });
        case LinkKind::Clamp:
            return each([&](Floats v, std::int64_t) {
                return select(v < all(link.a), all(link.a), select(v > all(link.b), all(link.b), v));
            });
        case LinkKind::Times:
            return each([&](Floats v, std::int64_t i) { return v * load_upto(operand, i, n); });
        case LinkKind::Plus:
            return each([&](Floats v, std::int64_t i) { return v + load_upto(operand, i, n); });
        case LinkKind::Minus:
            return each([&](Floats v, std::int64_t i) { return v - load_upto(operand, i, n); });
    }
}

void convolve_row(const ConvolveRow& row) {
    const float* oldest = row.x - (row.n_taps - 1) * row.x_stride;
    with_activation(row.activation, [&](auto function) {
        map(oldest, row.n, row.out, [&](Floats, std::int64_t i) {
            Floats sum = row.bias != nullptr ? load_upto(row.bias, i, row.n) : Floats{};
            for (std::int64_t tap = 0; tap < row.n_taps; ++tap)
                sum += load_upto(row.weight + tap * row.weight_stride, i, row.n) *
                       load_upto(oldest + tap * row.x_stride, i, row.n);
            return function(sum);
        });
    });
}

void mix_stream(const float* x, std::int64_t x_step, const float* coefficients, std::int64_t n_in,
                bool accumulate, std::int64_t n, float* y) {
    map(x, n, y, [&](Floats, std::int64_t i) {
        Floats sum = accumulate ? load_upto(y, i, n) : Floats{};
        for (std::int64_t stream = 0; stream < n_in; ++stream)
            sum += coefficients[stream] * load_upto(x + stream * x_step, i, n);
        return sum;
    });
}

float reduce_row(const float* x, std::int64_t n, Reduction kind) {
    if (kind == Reduction::Length) return std::sqrt(reduce(x, n, [](Floats v) { return v * v; }));
    const float sum = reduce(x, n, [](Floats v) { return v; });
    if (kind == Reduction::Sum) return sum;
    const float mean = sum / static_cast<float>(n);
    if (kind == Reduction::Mean) return mean;
    const float squares = reduce(x, n, [mean](Floats v) { return (v - mean) * (v - mean); });
    return std::sqrt(squares / static_cast<float>(n - 1));
}

}  // namespace
}  // namespace assay::backend::cpu
