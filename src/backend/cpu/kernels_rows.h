// The row kernels over vectors of kLanes floats. Included once by each kernels_*.cpp, which defines kLanes
// and is compiled for its instruction set; everything here has internal linkage so that no linker mixes the
// copies.
#pragma once

#include <cmath>
#include <cstring>

#include "backend/cpu/kernels.h"

namespace assay::backend::cpu {
namespace {

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef std::uint16_t Shorts __attribute__((vector_size(kLanes * 2)));

inline Floats load(const float* p) {
    Floats v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void store(float* p, Floats v) { std::memcpy(p, &v, sizeof v); }
inline Floats all(float x) { return Floats{} + x; }
inline Floats select(Ints mask, Floats yes, Floats no) { return mask ? yes : no; }

/// The first n < kLanes floats, zeros behind.
inline Floats load_part(const float* p, std::int64_t n) {
    Floats v{};
    std::memcpy(&v, p, static_cast<std::size_t>(n) * 4);
    return v;
}
inline void store_part(float* p, Floats v, std::int64_t n) {
    std::memcpy(p, &v, static_cast<std::size_t>(n) * 4);
}

/// Calls body(vector of x) for all of x, tail included, storing to y.
template <typename Body> inline void map(const float* x, std::int64_t n, float* y, Body body) {
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(y + i, body(load(x + i), i));
    if (i < n) store_part(y + i, body(load_part(x + i, n - i), i), n - i);
}

inline float sum_lanes(Floats v) {
    float lanes[kLanes];
    store(lanes, v);
    for (int width = kLanes / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    return lanes[0];
}

inline float max_lanes(Floats v) {
    float lanes[kLanes];
    store(lanes, v);
    float best = lanes[0];
    for (int i = 1; i < kLanes; ++i) best = lanes[i] > best ? lanes[i] : best;
    return best;
}

constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits

/// 2^n e^r for |r| <= ln 2 / 2, n as `shifted` = n + kRound: Taylor series of degree 7 in r (remainder below
/// 4e-9), n added to the exponent.
inline Floats scaled_exp(Floats r, Floats shifted) {
    Floats p = all(1.0f / 5040);
    for (const float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + c;
    Ints bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    // Two factors 2^(n/2), because 2^128 is no float.
    const Ints whole = bits - std::int32_t{0x4b400000};
    const Ints half = whole >> 1;
    const Ints first = (half + 127) << 23;
    const Ints second = (whole - half + 127) << 23;
    Floats a, b;
    std::memcpy(&a, &first, sizeof a);
    std::memcpy(&b, &second, sizeof b);
    return p * a * b;
}

/// e^x to about 1 ulp: x = n ln 2 + r. 0 below -87.3, infinity above 88.7, NaN for NaN.
inline Floats exp(Floats x) {
    constexpr float kLog2e = 1.44269504088896341f;
    constexpr float kLn2High = 0.693145751953125f;  // 16 bits, so that n * it is exact
    constexpr float kLn2Low = 1.42860682030941723e-6f;
    const Floats clamped = select(x < all(-87.3f), all(-87.3f), select(x > all(88.8f), all(88.8f), x));
    const Floats shifted = clamped * kLog2e + kRound;
    const Floats n = shifted - kRound;
    const Floats r = (clamped - n * kLn2High) - n * kLn2Low;
    const Floats p = select(x < all(-87.3f), Floats{}, scaled_exp(r, shifted));
    return select(x == x, p, x);
}

inline Floats tanh(Floats x) { return 1.0f - 2.0f / (exp(x * 2.0f) + 1.0f); }

/// To the nearest half (ties to even) and back; |x| below 65504.
inline Floats round_to_half(Floats x) {
    Ints bits;
    std::memcpy(&bits, &x, sizeof bits);
    const Ints rounded = (bits + 0xfff + (bits >> 13 & 1)) & ~0x1fff;
    Floats normal;
    std::memcpy(&normal, &rounded, sizeof normal);
    const Floats denormal = (x + 0.75f) - 0.75f;  // floats near 0.75 are 2^-24 apart, as denormal halves are
    const Floats magnitude = x < 0 ? -x : x;
    return select(magnitude < all(0x1p-14f), denormal, normal);
}

/// tanh form of GELU (Hendrycks & Gimpel 2016), rounded to half before and after between -10 and 10:
/// llama.cpp's CPU backend reads it from a table of halves, and its perplexities move by 1e-4 with that.
inline Floats gelu(Floats x) {
    constexpr float kSqrt2OverPi = 0.797884560802865356f;
    const Floats h = round_to_half(x);
    const Floats y = round_to_half(0.5f * h * (1.0f + tanh(kSqrt2OverPi * (h + 0.044715f * h * h * h))));
    return select(x >= all(10.0f), x, select(x <= all(-10.0f), Floats{}, y));
}

void to_bf16(const float* x, std::int64_t n, std::uint16_t* out) {
    const auto round = [](Floats v) {
        Ints bits;
        std::memcpy(&bits, &v, sizeof bits);
        const Ints rounded = bits + 0x7fff + (bits >> 16 & 1);
        const Ints quiet = bits | 0x400000;
        const Ints kept = v == v ? rounded : quiet;
        return __builtin_convertvector(kept >> 16 & 0xffff, Shorts);
    };
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Shorts s = round(load(x + i));
        std::memcpy(out + i, &s, sizeof s);
    }
    if (i < n) {
        const Shorts s = round(load_part(x + i, n - i));
        std::memcpy(out + i, &s, static_cast<std::size_t>(n - i) * 2);
    }
}

void from_bf16(const std::uint16_t* x, std::int64_t n, float* out) {
    const auto widen = [](Shorts s) {
        const Ints bits = __builtin_convertvector(s, Ints) << 16;
        Floats v;
        std::memcpy(&v, &bits, sizeof v);
        return v;
    };
    Shorts s{};
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        std::memcpy(&s, x + i, sizeof s);
        store(out + i, widen(s));
    }
    if (i < n) {
        std::memcpy(&s, x + i, static_cast<std::size_t>(n - i) * 2);
        store_part(out + i, widen(s), n - i);
    }
}

/// One product more a value than add_sums() of weight 1, which is the usual one.
inline void add_weighted_sums(const float* x, std::int64_t n, float weight, float* squares, float* plain) {
    const auto before = [n](const float* sums, std::int64_t i) {
        return i + kLanes <= n ? load(sums + i) : load_part(sums + i, n - i);
    };
    if (squares != nullptr)
        map(x, n, squares, [&](Floats v, std::int64_t i) {
            const Floats weighted = weight * v;
            return weighted * v + before(squares, i);
        });
    if (plain != nullptr)
        map(x, n, plain, [&](Floats v, std::int64_t i) { return weight * v + before(plain, i); });
}

void add_sums(const float* x, std::int64_t n, float weight, float* squares, float* plain) {
    if (weight != 1) return add_weighted_sums(x, n, weight, squares, plain);
    if (squares != nullptr)
        map(x, n, squares, [&](Floats v, std::int64_t i) {
            return v * v + (i + kLanes <= n ? load(squares + i) : load_part(squares + i, n - i));
        });
    if (plain != nullptr)
        map(x, n, plain, [&](Floats v, std::int64_t i) {
            return v + (i + kLanes <= n ? load(plain + i) : load_part(plain + i, n - i));
        });
}

/// Sum of body(v) over x in kLanes strands, combined at the end.
template <typename Body> inline float reduce(const float* x, std::int64_t n, Body body) {
    Floats total{};
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) total += body(load(x + i));
    float sum = sum_lanes(total);
    for (; i < n; ++i) sum += body(all(x[i]))[0];
    return sum;
}

inline Floats load_upto(const float* p, std::int64_t i, std::int64_t n) {
    return i + kLanes <= n ? load(p + i) : load_part(p + i, n - i);
}

void axpy(float a, const float* x, std::int64_t n, float* y) {
    map(x, n, y, [&](Floats v, std::int64_t i) { return a * v + load_upto(y, i, n); });
}

float scale_and_max(float* x, std::int64_t n, float scale, float soft_cap) {
    const auto transform = [&](Floats v) {
        v *= scale;
        return soft_cap > 0 ? soft_cap * tanh(v / soft_cap) : v;
    };
    Floats best = all(-INFINITY);
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Floats v = transform(load(x + i));
        store(x + i, v);
        best = select(v > best, v, best);
    }
    float largest = max_lanes(best);
    for (; i < n; ++i) {
        x[i] = transform(all(x[i]))[0];
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

double sum_exp(const float* x, std::int64_t n, float shift) {
    double total = 0;
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) total += static_cast<double>(sum_lanes(exp(load(x + i) - shift)));
    for (; i < n; ++i) total += static_cast<double>(exp(all(x[i] - shift))[0]);
    return total;
}

double exp_row(const float* x, std::int64_t n, float shift, float* y) {
    double total = 0;
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        const Floats e = exp(load(x + i) - shift);
        store(y + i, e);
        total += static_cast<double>(sum_lanes(e));
    }
    for (; i < n; ++i) {
        y[i] = exp(all(x[i] - shift))[0];
        total += static_cast<double>(y[i]);
    }
    return total;
}

double dot_difference(const float* weight, const float* a, const float* b, std::int64_t n) {
    double total = 0;
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
        total += static_cast<double>(sum_lanes(load(weight + i) * (load(a + i) - load(b + i))));
    for (; i < n; ++i) total += static_cast<double>(weight[i] * (a[i] - b[i]));
    return total;
}

}  // namespace
}  // namespace assay::backend::cpu
