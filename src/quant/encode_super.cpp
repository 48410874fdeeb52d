#include "quant/encode_super.h"

#include <algorithm>
#include <cmath>

#include "core/half.h"

namespace assay::quant {

namespace {

/// The half nearest to `scale`, and its value in units of the block.
struct RoundedScale {
    std::uint16_t half;
    float value;

    RoundedScale(float scale, double unit)
        : half(scale_to_half(static_cast<double>(scale) * unit)),
          value(static_cast<float>(half_to_float(half) / unit)) {}
};

/// Nearest whole number of steps, within lo..hi; 0 when the step is.
int steps(float value, float step, int lo, int hi) {
    const float count = std::round(value * inverse(step));
    return static_cast<int>(std::clamp(count, static_cast<float>(lo), static_cast<float>(hi)));
}

template <class Grid> float symmetric_error(Samples samples, Grid grid, float scale) {
    const float per_level = inverse(scale);
    float sum = 0.0f;
    for (std::size_t i = 0; i < samples.x.size(); ++i) {
        const float e = samples.x[i] - scale * grid(samples.x[i] * per_level);
        sum += samples.w[i] * e * e;
    }
    return sum;
}

/// The sub scale around `wanted` with the least error; the nearest one where all are alike.
template <class Grid> int best_scale(Samples samples, Grid grid, float wanted, float d, ScaleRange range) {
    const int nearest = steps(wanted, d, range.lo, range.hi);
    int best = nearest;
    float least = symmetric_error(samples, grid, d * static_cast<float>(nearest));
    for (const int trial : {nearest - 1, nearest + 1}) {
        if (trial < range.lo || trial > range.hi) continue;
        const float error = symmetric_error(samples, grid, d * static_cast<float>(trial));
        if (error < least) {
            least = error;
            best = trial;
        }
    }
    return best;
}

/// The super scale that suits the sub scales and codes best; `d` where they are all zero.
template <class Grid>
float refit(Samples samples, Grid grid, std::size_t sub, const std::array<int, 16>& scale, float d) {
    float xq = 0.0f;
    float qq = 0.0f;
    for (std::size_t i = 0; i < kSuper; ++i) {
        const auto s = static_cast<float>(scale[i / sub]);
        const float q = s * grid(samples.x[i] * inverse(d * s));
        xq += samples.w[i] * samples.x[i] * q;
        qq += samples.w[i] * q * q;
    }
    return qq > 0.0f ? xq / qq : d;
}

template <class Grid>
SymmetricSuper encode_symmetric_on(const float* x, const float* importance, std::size_t sub, ScaleRange range,
                                   Grid grid) {
    SymmetricSuper super;
    const Block<kSuper> block(x, importance);
    if (block.unit == 0.0) return super;
    const std::size_t n_sub = kSuper / sub;
    std::array<float, 16> wanted{};
    float peak = 0.0f;
    for (std::size_t k = 0; k < n_sub; ++k) {
        wanted[k] = fit_scale(block.samples().part(k * sub, sub), grid);
        if (std::fabs(wanted[k]) > std::fabs(peak)) peak = wanted[k];
    }
    RoundedScale d(peak / static_cast<float>(range.lo), block.unit);
    const auto choose = [&] {
        for (std::size_t k = 0; k < n_sub; ++k)
            super.scale[k] = best_scale(block.samples().part(k * sub, sub), grid, wanted[k], d.value, range);
    };
    choose();
    d = RoundedScale(refit(block.samples(), grid, sub, super.scale, d.value), block.unit);
    choose();
    super.d = d.half;
    for (std::size_t i = 0; i < kSuper; ++i)
        super.position[i] = block.x[i] * inverse(d.value * static_cast<float>(super.scale[i / sub]));
    return super;
}

struct ScaleMin {
    int scale;
    int min;
};

/// The pair of sub scale and min around the wanted one with the least error; the nearest where all are alike.
/// The nine pairs are tried side by side, in lanes.
ScaleMin best_pair(Samples samples, IntegerGrid grid, Affine wanted, float d, float dmin, int max_scale) {
    constexpr std::size_t kLanes = 12;  // nine, and the nearest again to fill vectors
    const ScaleMin nearest{steps(wanted.scale, d, 0, max_scale), steps(-wanted.offset, dmin, 0, max_scale)};
    std::array<ScaleMin, kLanes> pairs;
    pairs.fill(nearest);
    std::size_t n_pairs = 1;
    for (int scale = std::max(nearest.scale - 1, 0); scale <= std::min(nearest.scale + 1, max_scale); ++scale)
        for (int min = std::max(nearest.min - 1, 0); min <= std::min(nearest.min + 1, max_scale); ++min)
            if (scale != nearest.scale || min != nearest.min) pairs[n_pairs++] = {scale, min};

    std::array<float, kLanes> step, per_step, offset;
    std::array<float, kLanes> error{};
    for (std::size_t c = 0; c < kLanes; ++c) {
        step[c] = d * static_cast<float>(pairs[c].scale);
        per_step[c] = inverse(step[c]);
        offset[c] = -dmin * static_cast<float>(pairs[c].min);
    }
    for (std::size_t i = 0; i < samples.x.size(); ++i) {
        const float x = samples.x[i];
        const float w = samples.w[i];
        for (std::size_t c = 0; c < kLanes; ++c) {
            const float q = grid((x - offset[c]) * per_step[c]);
            const float e = x - (step[c] * q + offset[c]);
            error[c] += w * e * e;
        }
    }
    return pairs[static_cast<std::size_t>(std::min_element(error.begin(), error.end()) - error.begin())];
}

/// Codes of all weights under the sub scales and mins of `super`.
void set_codes(Samples samples, IntegerGrid grid, std::size_t sub, float d, float dmin, AffineSuper& super) {
    for (std::size_t i = 0; i < kSuper; ++i) {
        const float scale = d * static_cast<float>(super.scale[i / sub]);
        const float min = dmin * static_cast<float>(super.min[i / sub]);
        super.code[i] = static_cast<std::uint8_t>(grid((samples.x[i] + min) * inverse(scale)));
    }
}

struct SuperScales {
    float d;
    float dmin;
};

/// Both super scales anew for these codes: x ~ d * a - dmin * b, a 2 x 2 system. The old ones where the
/// system is singular or leads below zero.
SuperScales refit(Samples samples, std::size_t sub, const AffineSuper& super, SuperScales old) {
    float aa = 0.0f, ab = 0.0f, bb = 0.0f, xa = 0.0f, xb = 0.0f;
    for (std::size_t i = 0; i < kSuper; ++i) {
        const float w = samples.w[i];
        const float a = static_cast<float>(super.scale[i / sub]) * static_cast<float>(super.code[i]);
        const auto b = static_cast<float>(super.min[i / sub]);
        aa += w * a * a;
        ab += w * a * b;
        bb += w * b * b;
        xa += w * samples.x[i] * a;
        xb += w * samples.x[i] * b;
    }
    const float determinant = aa * bb - ab * ab;
    if (!(determinant > 1e-6f * aa * bb)) return old;
    const SuperScales fit{(xa * bb - xb * ab) / determinant, (xa * ab - xb * aa) / determinant};
    return fit.d > 0.0f && fit.dmin >= 0.0f ? fit : old;
}

}  // namespace

SymmetricSuper encode_symmetric(const float* x, const float* importance, std::size_t sub, ScaleRange range,
                                IntegerGrid grid) {
    return encode_symmetric_on(x, importance, sub, range, grid);
}

SymmetricSuper encode_symmetric(const float* x, const float* importance, std::size_t sub, ScaleRange range,
                                Iq4Grid grid) {
    return encode_symmetric_on(x, importance, sub, range, grid);
}

AffineSuper encode_affine(const float* x, const float* importance, std::size_t sub, int max_code,
                          int max_scale) {
    AffineSuper super;
    const Block<kSuper> block(x, importance);
    if (block.unit == 0.0) return super;
    const IntegerGrid grid{0.0f, static_cast<float>(max_code)};
    const std::size_t n_sub = kSuper / sub;
    std::array<Affine, 16> wanted{};
    SuperScales largest{0.0f, 0.0f};
    for (std::size_t k = 0; k < n_sub; ++k) {
        wanted[k] = fit_affine(block.samples().part(k * sub, sub), max_code, OffsetSign::NotPositive);
        largest.d = std::max(largest.d, wanted[k].scale);
        largest.dmin = std::max(largest.dmin, -wanted[k].offset);
    }
    RoundedScale d(largest.d / static_cast<float>(max_scale), block.unit);
    RoundedScale dmin(largest.dmin / static_cast<float>(max_scale), block.unit);
    const auto choose = [&] {
        for (std::size_t k = 0; k < n_sub; ++k) {
            const Samples part = block.samples().part(k * sub, sub);
            const ScaleMin pair = best_pair(part, grid, wanted[k], d.value, dmin.value, max_scale);
            super.scale[k] = static_cast<std::uint8_t>(pair.scale);
            super.min[k] = static_cast<std::uint8_t>(pair.min);
        }
        set_codes(block.samples(), grid, sub, d.value, dmin.value, super);
    };
    choose();
    const SuperScales better = refit(block.samples(), sub, super, {d.value, dmin.value});
    d = RoundedScale(better.d, block.unit);
    dmin = RoundedScale(better.dmin, block.unit);
    choose();
    super.d = d.half;
    super.dmin = dmin.half;
    return super;
}

}  // namespace assay::quant
