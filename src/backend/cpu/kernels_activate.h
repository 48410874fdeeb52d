// The functions of one number (Activation) over vectors, to a few f32 steps of their results. Included like
// kernels_rows.h.
#pragma once

#include "backend/cpu/kernels_rows.h"

namespace assay::backend::cpu {
namespace {

/// 2^x to about 1 ulp; 0 below -126, infinity from 128 on, NaN for NaN.
inline Floats exp2(Floats x) {
    constexpr float kLn2 = 0.693147180559945309f;
    const Floats clamped = select(x < all(-126.0f), all(-126.0f), select(x > all(128.0f), all(128.0f), x));
    const Floats shifted = clamped + kRound;
    const Floats p = scaled_exp((clamped - (shifted - kRound)) * kLn2, shifted);
    return select(x == x, select(x < all(-126.0f), Floats{}, p), x);
}

/// ln(1 + e), e >= 0. u = 1 + e is m 2^n with m between the roots of 1/2 and 2; ln m = 2 artanh(s), s = (m -
/// 1) / (m + 1), |s| < 0.172, by its series up to s^9 (remainder below 1e-9). What rounding took from u
/// follows to first order.
inline Floats log1p(Floats e) {
    constexpr float kLn2High = 0.693145751953125f;  // 16 bits, so that n * it is exact
    constexpr float kLn2Low = 1.42860682030941723e-6f;
    constexpr std::int32_t kRootOfHalf = 0x3f3504f3;
    const Floats u = 1.0f + e;
    Ints bits;
    std::memcpy(&bits, &u, sizeof bits);
    const Ints above = bits - kRootOfHalf;
    const Floats n = __builtin_convertvector(above >> 23, Floats);
    const Ints mantissa = (above & 0x7fffff) + kRootOfHalf;
    Floats m;
    std::memcpy(&m, &mantissa, sizeof m);
    const Floats s = (m - 1.0f) / (m + 1.0f);
    const Floats z = s * s;
    Floats p = all(1.0f / 9);
    for (const float c : {1.0f / 7, 1.0f / 5, 1.0f / 3}) p = p * z + c;
    const Floats log_m = 2.0f * s + 2.0f * s * (z * p);
    return n * kLn2High + (n * kLn2Low + (log_m + (e - (u - 1.0f)) / u));
}

/// tanh to a few ulp everywhere. Near 0, where the other form loses them, the fraction of Lambert's cut at
/// x^9 (error below 1e-9); elsewhere of |x|, so that no more is subtracted than is left.
inline Floats exact_tanh(Floats x) {
    const Floats z = x * x;
    const Floats near_zero = x * (945.0f + z * (105.0f + z)) / (945.0f + z * (420.0f + z * 15.0f));
    const Floats magnitude = select(x < Floats{}, -x, x);
    const Floats far = tanh(magnitude);
    return select(magnitude < all(0.6f), near_zero, select(x < Floats{}, -far, far));
}

inline Floats square_root(Floats x) {
    Floats root;
    for (int lane = 0; lane < kLanes; ++lane) root[lane] = std::sqrt(x[lane]);
    return root;
}

inline Floats sigmoid(Floats x) { return 1.0f / (1.0f + exp(-x)); }

/// Calls body with the function, so that loops over it hold no choice.
template <typename Body> inline void with_activation(Activation activation, Body body) {
    // Comparisons leave NaN as it is.
    const auto relu = [](Floats x) { return select(x < Floats{}, Floats{}, x); };
    const auto signed_root = [](Floats x) {
        const Floats magnitude = select(x < Floats{}, -x, x);
        const Floats root = square_root(select(magnitude < all(1e-6f), all(1e-6f), magnitude));
        return select(x < Floats{}, -root, select(x == Floats{}, x, root));
    };
    switch (activation) {
        case Activation::Identity: return body([](Floats x) { return x; });
        case Activation::Silu: return body([](Floats x) { return x / (1.0f + exp(-x)); });
        case Activation::Gelu: return body([](Floats x) { return gelu(x); });
        case Activation::Relu: return body(relu);
        case Activation::Relu2: return body([=](Floats x) { return relu(x) * relu(x); });
        case Activation::Sigmoid: return body([](Floats x) { return sigmoid(x); });
        case Activation::Tanh: return body([](Floats x) { return exact_tanh(x); });
        case Activation::Exp: return body([](Floats x) { return exp(x); });
        case Activation::Softplus:
            return body([](Floats x) { return select(x > all(20.0f), x, log1p(exp(x))); });
        case Activation::Log2OnePlusExp2:
            // From 24 on 2^-x is no longer seen beside x.
            return body(
                [](Floats x) { return select(x > all(24.0f), x, log1p(exp2(x)) * 1.44269504088896341f); });
        case Activation::SignedRoot: return body(signed_root);
    }
}

}  // namespace
}  // namespace assay::backend::cpu
