// Scales with the least weighted squared error: for x ~ scale * level (levels of a grid) and for
// x ~ scale * code + offset. Given the codes, the best scale (and offset) is a weighted least-squares
// solution; given the scale, the best codes are the nearest. The search tries a range of scales in lanes side
// by side, solves each, and keeps the best.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quant/codebooks.h"

namespace assay::quant {

/// The weights of a block or of a part of it, with their importance. Same length.
struct Samples {
    std::span<const float> x;
    std::span<const float> w;

    Samples part(std::size_t at, std::size_t n) const { return {x.subspan(at, n), w.subspan(at, n)}; }
};

/// Fills x_out and w_out [n] so that sums in float are safe: weights as fractions of the largest magnitude,
/// which is returned, and importance as fractions of the largest (all ones when it is nullptr or zero
/// everywhere).
double normalise(const float* x, const float* importance, std::span<float> x_out, std::span<float> w_out);

/// A block so normalised.
template <std::size_t kWeights> struct Block {
    std::array<float, kWeights> x;
    std::array<float, kWeights> w;
    double unit;  ///< the largest magnitude; 0 for a block of zeros

    Block(const float* weights, const float* importance) : unit(normalise(weights, importance, x, w)) {}
    Samples samples() const { return {x, w}; }
};

/// A scale as a half, saturated: an infinite scale would make its zero codes NaN.
std::uint16_t scale_to_half(double scale) noexcept;

/// 1 / v, or 0 where v is too small for that to be finite in float.
inline float inverse(float v) noexcept { return v > 1e-36f || v < -1e-36f ? 1.0f / v : 0.0f; }

/// The integers lo..hi.
struct IntegerGrid {
    float lo;
    float hi;

    /// The nearest level, ties to even; lo for NaN.
    float operator()(float y) const noexcept {
        constexpr float kRound = 0x1.8p23f;   // added and taken away, leaves a whole number
        const float above = y > lo ? y : lo;  // two steps, which compilers turn into vector max and min
        const float inside = above < hi ? above : hi;
        return inside + kRound - kRound;
    }
};

/// The sixteen levels of IQ4_NL and IQ4_XS.
struct Iq4Grid {
    float lo = kIq4Levels.front();
    float hi = kIq4Levels.back();

    float operator()(float y) const noexcept { return kIq4Levels[code(y)]; }
    /// Index of the nearest level; 0 for NaN.
    std::uint8_t code(float y) const noexcept;
};

/// The scale s with the least sum of w * (x - s * level)^2 of those that llama.cpp's quantisers try; negative
/// scales allowed. 0 when all x are.
float fit_scale(Samples samples, IntegerGrid grid);
float fit_scale(Samples samples, Iq4Grid grid);

struct Affine {
    float scale;
    float offset;
};

enum class OffsetSign { Any, NotPositive };

/// scale >= 0 and offset with the least sum of w * (x - scale * code - offset)^2 over the codes 0..max_code.
Affine fit_affine(Samples samples, int max_code, OffsetSign sign);

}  // namespace assay::quant
