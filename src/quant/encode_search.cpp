#include "quant/encode_search.h"

#include <algorithm>
#include <cmath>

#include "core/half.h"

namespace assay::quant {

namespace {

/// Relative to the scale that just covers the extreme weight: from 13 % too wide to clipping at 41 % of it,
/// the third being the covering one. Importance can make strong clipping right.
constexpr std::array<float, 16> kCoarse{0.873f, 0.935f, 1.0f,   1.07f,  1.145f, 1.225f, 1.311f, 1.403f,
                                        1.501f, 1.606f, 1.718f, 1.838f, 1.967f, 2.105f, 2.252f, 2.41f};
constexpr float kFineStep = 0.0045f;  // sixteen of them span one coarse step

/// Per lane: a trial's inverse scale, and what its codes give.
template <std::size_t kLanes> struct ScaleTrials {
    std::array<float, kLanes> inverse_scale;
    std::array<float, kLanes> xq{};
    std::array<float, kLanes> qq{};
};

struct ScaleFit {
    float scale;
    float gain;  ///< how much less than sum of w * x^2 the error is
};

template <class Grid, std::size_t kLanes>
void keep_best(Samples samples, Grid grid, ScaleTrials<kLanes>& trials, ScaleFit& best) {
    for (std::size_t i = 0; i < samples.x.size(); ++i) {
        const float x = samples.x[i];
        const float w = samples.w[i];
        for (std::size_t c = 0; c < kLanes; ++c) {
            const float q = grid(x * trials.inverse_scale[c]);
            trials.xq[c] += w * x * q;
            trials.qq[c] += w * q * q;
        }
    }
    for (std::size_t c = 0; c < kLanes; ++c) {
        if (!(trials.qq[c] > 0.0f)) continue;
        const float scale = trials.xq[c] / trials.qq[c];
        const float gain = trials.xq[c] * scale;
        if (gain > best.gain) best = {scale, gain};
    }
}

/// Tries the scale that puts the extreme weight on the grid's first level, and kEachWay on either side of it,
/// as if that level were `step` further in or out each time; and `other` as that level.
template <std::size_t kEachWay, class Grid>
float fit_scale_on(Samples samples, Grid grid, float step, float other) {
    float peak = 0.0f;
    for (const float x : samples.x)
        if (std::fabs(x) > std::fabs(peak)) peak = x;
    if (std::fabs(peak) < 1e-30f) return 0.0f;  // against a block maximum of 1: nothing to scale

    ScaleFit best{peak / grid.lo, 0.0f};
    ScaleTrials<2 * kEachWay + 2> trials;
    trials.inverse_scale.back() = other / peak;
    for (std::size_t c = 0; c <= 2 * kEachWay; ++c) {
        const float further = step * (static_cast<float>(c) - static_cast<float>(kEachWay));
        trials.inverse_scale[c] = (grid.lo + further) / peak;
    }
    keep_best(samples, grid, trials, best);
    return best.scale;
}

/// Per lane: a trial's inverse scale and its code zero, and what its codes give.
template <std::size_t kLanes> struct AffineTrials {
    std::array<float, kLanes> inverse_scale;
    std::array<float, kLanes> zero;
    std::array<float, kLanes> q{};
    std::array<float, kLanes> qq{};
    std::array<float, kLanes> xq{};
};

struct AffineFit {
    Affine affine;
    float gain;
};

template <std::size_t kLanes>
bool keep_best(Samples samples, IntegerGrid grid, OffsetSign sign, AffineTrials<kLanes>& trials,
               AffineFit& best) {
    float sum_w = 0.0f;
    float sum_x = 0.0f;
    for (std::size_t i = 0; i < samples.x.size(); ++i) {
        const float x = samples.x[i];
        const float w = samples.w[i];
        sum_w += w;
        sum_x += w * x;
        for (std::size_t c = 0; c < kLanes; ++c) {
            const float q = grid((x - trials.zero[c]) * trials.inverse_scale[c]);
            trials.q[c] += w * q;
            trials.qq[c] += w * q * q;
            trials.xq[c] += w * x * q;
        }
    }
    bool better = false;
    for (std::size_t c = 0; c < kLanes; ++c) {
        const float determinant = sum_w * trials.qq[c] - trials.q[c] * trials.q[c];
        if (!(determinant > 0.0f)) continue;
        Affine fit{(sum_w * trials.xq[c] - sum_x * trials.q[c]) / determinant,
                   (trials.qq[c] * sum_x - trials.q[c] * trials.xq[c]) / determinant};
        if (sign == OffsetSign::NotPositive && fit.offset > 0.0f)
            fit = {trials.xq[c] / trials.qq[c], 0.0f};  // the best on the border
        const float gain = fit.scale * trials.xq[c] + fit.offset * sum_x;
        if (!(fit.scale > 0.0f) || !(gain > best.gain)) continue;
        best = {fit, gain};
        better = true;
    }
    return better;
}

}  // namespace

double normalise(const float* x, const float* importance, std::span<float> x_out, std::span<float> w_out) {
    const std::size_t n = x_out.size();
    double unit = 0.0;
    double top = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        unit = std::max(unit, std::fabs(static_cast<double>(x[i])));
        if (importance != nullptr) top = std::max(top, static_cast<double>(importance[i]));
    }
    for (std::size_t i = 0; i < n; ++i) {
        x_out[i] = unit > 0.0 ? static_cast<float>(x[i] / unit) : 0.0f;
        w_out[i] = top > 0.0 ? static_cast<float>(importance[i] / top) : 1.0f;
    }
    return unit;
}

std::uint16_t scale_to_half(double scale) noexcept {
    constexpr double kLargestHalf = 65504.0;
    return float_to_half(static_cast<float>(std::clamp(scale, -kLargestHalf, kLargestHalf)));
}

std::uint8_t Iq4Grid::code(float y) const noexcept {
    // Levels are whole, so the borders between them are multiples of 1/2: a table over floor(2 y) is exact.
    constexpr int kFirst = 2 * kIq4Levels.front();
    constexpr int kLast = 2 * kIq4Levels.back();
    static constexpr auto kNearest = [] {
        std::array<std::uint8_t, kLast - kFirst + 1> nearest{};
        std::uint8_t code = 0;
        for (int twice = kFirst; twice <= kLast; ++twice) {
            // The border above `code` is (level + next) / 2; twice it is level + next.
            while (code < 15 && twice >= kIq4Levels[code] + kIq4Levels[code + 1u]) ++code;
            nearest[static_cast<std::size_t>(twice - kFirst)] = code;
        }
        return nearest;
    }();
    const float inside = y > lo ? (y < hi ? y : hi) : lo;
    return kNearest[static_cast<std::size_t>((inside - lo) * 2.0f)];
}

// The trials are those of llama.cpp's quantisers (2026-08): a recipe wants the error that they will make, and
// a wider search finds scales that they do not.
float fit_scale(Samples samples, IntegerGrid grid) { return fit_scale_on<9>(samples, grid, 0.1f, grid.lo); }
float fit_scale(Samples samples, Iq4Grid grid) { return fit_scale_on<7>(samples, grid, 1.0f, -grid.lo); }

Affine fit_affine(Samples samples, int max_code, OffsetSign sign) {
    auto [least, most] = std::minmax_element(samples.x.begin(), samples.x.end());
    const float bottom = sign == OffsetSign::NotPositive ? std::min(*least, 0.0f) : *least;
    const float range = *most - bottom;
    if (range < 1e-30f) return {0.0f, bottom};  // against a block maximum of 1: one value

    const auto steps = static_cast<float>(max_code);
    const IntegerGrid grid{0.0f, steps};
    AffineFit best{{range / steps, bottom}, 0.0f};
    AffineTrials<32> coarse;
    for (std::size_t c = 0; c < 16; ++c) {
        const float per_step = steps / range * kCoarse[c];
        // Clipping the top only, and both ends alike.
        coarse.inverse_scale[c] = coarse.inverse_scale[16 + c] = per_step;
        coarse.zero[c] = bottom;
        const float zero = bottom + 0.5f * (range - steps / per_step);
        coarse.zero[16 + c] = sign == OffsetSign::NotPositive ? std::min(zero, 0.0f) : zero;
    }
    keep_best(samples, grid, sign, coarse, best);
    for (int round = 0; round < 2; ++round) {
        AffineTrials<16> fine;  // the solution so far, and scales around it
        for (std::size_t c = 0; c < 16; ++c) {
            const float factor = 1.0f + kFineStep * (static_cast<float>(c) - 8.0f);
            fine.inverse_scale[c] = inverse(best.affine.scale) * factor;
            fine.zero[c] = best.affine.offset;
        }
        if (!keep_best(samples, grid, sign, fine, best)) break;
    }
    return best.affine;
}

}  // namespace assay::quant
