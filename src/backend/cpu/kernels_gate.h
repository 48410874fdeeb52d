// What a feed-forward makes of a row of gates and a row of values. Included like kernels_rows.h.
#pragma once

#include "backend/cpu/kernels_activate.h"

namespace assay::backend::cpu {
namespace {

// Comparisons leave NaN as it is.
inline Floats at_most(Floats x, float limit) { return select(x > all(limit), all(limit), x); }
inline Floats within(Floats x, float limit) {
    return select(x < all(-limit), all(-limit), at_most(x, limit));
}
inline Floats silu(Floats x) { return x / (1.0f + exp(-x)); }

void gate_row(const float* gate, const float* up, std::int64_t n, const GateFunction& f, float* y) {
    const float limit = f.limit;
    const float slope = f.slope;
    const auto each = [&](auto function) {
        map(gate, n, y, [&](Floats g, std::int64_t i) { return function(g, load_upto(up, i, n)); });
    };
    switch (f.kind) {
        case GateKind::Activated:
            return with_activation(f.activation, [&](auto act) {
                if (up == nullptr) return map(gate, n, y, [&](Floats g, std::int64_t) { return act(g); });
                each([&](Floats g, Floats u) { return act(g) * u; });
            });
        case GateKind::ClampedBefore:
            return each([&](Floats g, Floats u) { return silu(at_most(g, limit)) * within(u, limit); });
        case GateKind::ClampedAfter:
            return each([&](Floats g, Floats u) { return at_most(silu(g), limit) * within(u, limit); });
        case GateKind::SwigluOai:
            return each([&](Floats g, Floats u) {
                const Floats h = at_most(g, limit);
                return h * sigmoid(slope * h) * (within(u, limit) + 1.0f);
            });
        case GateKind::Situ:
            return with_activation(Activation::Tanh, [&](auto tanh_of) {
                each([&](Floats g, Floats u) {
                    return slope * tanh_of(g / slope) * sigmoid(g) * (limit * tanh_of(u / limit));
                });
            });
    }
}

}  // namespace
}  // namespace assay::backend::cpu
