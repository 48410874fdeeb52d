#include "backend/reference_mixers.h"

#include <algorithm>
#include <cmath>

namespace assay::backend::reference {

namespace {

double exact(Activation activation, double x) {
    switch (activation) {
        case Activation::Identity: return x;
        case Activation::Silu: return x / (1 + std::exp(-x));
        case Activation::Gelu: {
            const double pi = std::acos(-1.0);
            return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
        }
        case Activation::Relu: return std::max(x, 0.0);
        case Activation::Relu2: return std::max(x, 0.0) * std::max(x, 0.0);
        case Activation::Sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::Tanh: return std::tanh(x);
        case Activation::Exp: return std::exp(x);
        case Activation::Softplus: return x > 20 ? x : std::log1p(std::exp(x));
        case Activation::Log2OnePlusExp2: return std::log1p(std::exp2(x)) / std::log(2.0);
        case Activation::SignedRoot:
            return x == 0 ? 0 : std::copysign(std::sqrt(std::max(std::abs(x), 1e-6)), x);
    }
    return x;
}

double at(const std::vector<float>& values, std::int64_t i) {
    return static_cast<double>(values[static_cast<std::size_t>(i)]);
}

}  // namespace

Bounded apply(Activation activation, const Bounded& x) {
    const double y = exact(activation, x.value);
    // Half precision: 2^-11 of what goes in, where GELU's slope is at most 1.13, and of what comes out, or
    // half a denormal.
    const double rounding = activation == Activation::Gelu ? 0x1p-11 * std::abs(x.value) + 0x1p-25 : 0.0;
    const double reach = x.error + rounding;
    const double moved = std::max(std::abs(exact(activation, x.value + reach) - y),
                                  std::abs(exact(activation, x.value - reach) - y));
    // Exponentials below 2^-126 may become 0.
    double own =
        activation == Activation::Identity ? 0 : 4 * kUnit * std::abs(y) + 0x1p-124 * (1 + std::abs(x.value));
    // 1 + tanh near -1 keeps steps of 1.
    if (activation == Activation::Gelu)
        own += 4 * kUnit * std::abs(x.value) + 0x1p-11 * std::abs(y) + 0x1p-25;
    return {y, moved + own};
}

BoundedMatrix chain(const Matrix& x, const std::vector<ChainLink>& links, std::int64_t chunk_tokens) {
    BoundedMatrix out(x.rows, x.cols);
    const auto operand = [&](const ChainLink& l, std::int64_t r, std::int64_t c) {
        const std::int64_t n = l.vector.empty() ? l.view.cols : static_cast<std::int64_t>(l.vector.size());
        const std::int64_t from = l.link.tiled ? c % n : c / (x.cols / n);
        if (!l.vector.empty()) return at(l.vector, from);
        if (!l.link.previous) return l.view.at(r, from);
        return r % chunk_tokens == 0 ? 0.0 : l.view.at(r - 1, from);
    };
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t c = 0; c < x.cols; ++c) {
            Bounded v{x.at(r, c), 0};
            for (const ChainLink& l : links) {
                const auto a = static_cast<double>(l.link.a);
                const auto b = static_cast<double>(l.link.b);
                switch (l.link.kind) {
                    case LinkKind::Apply: v = apply(l.link.activation, v); break;
                    case LinkKind::Affine:
                        v.error = std::abs(a) * v.error + 2 * kUnit * (std::abs(a * v.value) + std::abs(b));
                        v.value = a * v.value + b;
                        break;
                    case LinkKind::Clamp: v.value = std::clamp(v.value, a, b); break;
                    case LinkKind::Times: {
                        const double o = operand(l, r, c);
                        v.value *= o;
                        v.error = std::abs(o) * v.error + 2 * kUnit * std::abs(v.value);
                        break;
                    }
                    case LinkKind::Plus:
                    case LinkKind::Minus:
                        v.value += (l.link.kind == LinkKind::Plus ? 1 : -1) * operand(l, r, c);
                        v.error += 2 * kUnit * std::abs(v.value);
                        break;
                }
            }
            out.set(r, c, v);
        }
    return out;
}

BoundedMatrix convolve(const Matrix& x, const Convolve& args, std::int64_t chunk_tokens) {
    BoundedMatrix out(x.rows, x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t c = 0; c < x.cols; ++c) {
            double sum = args.bias.empty() ? 0 : at(args.bias, c);
            double magnitudes = std::abs(sum);
            for (std::int64_t j = 0; j < args.kernel; ++j) {
                const std::int64_t back = (args.kernel - 1 - j) * args.dilation;
                if (back > r % chunk_tokens) continue;
                const double term = at(args.weight, c * args.kernel + j) * x.at(r - back, c);
                sum += term;
                magnitudes += std::abs(term);
            }
            const double steps = static_cast<double>(args.kernel + 2) * kUnit;
            out.set(r, c, apply(args.activation, {sum, steps * magnitudes}));
        }
    return out;
}

BoundedMatrix mix(const Matrix& x, const Matrix& coefficients, std::int64_t n_in, std::int64_t n_out,
                  const Matrix& before) {
    const std::int64_t width = x.cols / n_in;
    BoundedMatrix out(x.rows, n_out * width);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t j = 0; j < n_out; ++j)
            for (std::int64_t c = 0; c < width; ++c) {
                double sum = before.rows == 0 ? 0 : before.at(r, j * width + c);
                double magnitudes = std::abs(sum);
                for (std::int64_t i = 0; i < n_in; ++i) {
                    const double term = coefficients.at(r, j * n_in + i) * x.at(r, i * width + c);
                    sum += term;
                    magnitudes += std::abs(term);
                }
                out.set(r, j * width + c, {sum, static_cast<double>(n_in + 2) * kUnit * magnitudes});
            }
    return out;
}

BoundedMatrix reduce(const Matrix& x, Reduction kind, std::int64_t n_slices) {
    const std::int64_t width = x.cols / n_slices;
    const auto n = static_cast<double>(width);
    BoundedMatrix out(x.rows, n_slices);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t s = 0; s < n_slices; ++s) {
            double sum = 0, magnitudes = 0, squares = 0;
            for (std::int64_t c = s * width; c < (s + 1) * width; ++c) {
                sum += x.at(r, c);
                magnitudes += std::abs(x.at(r, c));
                squares += x.at(r, c) * x.at(r, c);
            }
            const double mean = sum / n;
            double away = 0;
            for (std::int64_t c = s * width; c < (s + 1) * width; ++c)
                away += (x.at(r, c) - mean) * (x.at(r, c) - mean);
            const double steps = (n + 4) * kUnit;
            const double deviation = std::sqrt(away / (n - 1));
            switch (kind) {
                case Reduction::Sum: out.set(r, s, {sum, steps * magnitudes}); break;
                case Reduction::Mean: out.set(r, s, {mean, steps * magnitudes / n}); break;
                case Reduction::Length:
                    out.set(r, s, {std::sqrt(squares), steps * std::sqrt(squares)});
                    break;
                // A mean that is off moves every difference as far.
                case Reduction::Deviation:
                    out.set(r, s, {deviation, steps * (deviation + 2 * magnitudes / n)});
                    break;
            }
        }
    return out;
}

BoundedMatrix softmax(const Matrix& x, std::int64_t n_slices) {
    const std::int64_t width = x.cols / n_slices;
    BoundedMatrix out(x.rows, x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t first = 0; first < x.cols; first += width) {
            double largest = x.at(r, first);
            for (std::int64_t c = first; c < first + width; ++c) largest = std::max(largest, x.at(r, c));
            double total = 0;
            for (std::int64_t c = first; c < first + width; ++c) total += std::exp(x.at(r, c) - largest);
            double farthest = 0;
            for (std::int64_t c = first; c < first + width; ++c)
                farthest = std::max(farthest, largest - x.at(r, c));
            // The argument of an exponential is off by a step of itself, the sum by one for each term.
            const double steps = (static_cast<double>(width) + 2 * farthest + 10) * kUnit;
            for (std::int64_t c = first; c < first + width; ++c) {
                const double p = std::exp(x.at(r, c) - largest) / total;
                out.set(r, c, {p, steps * p});
            }
        }
    return out;
}

BoundedMatrix sinkhorn(const Matrix& x, std::int64_t n, std::int64_t iterations, double eps) {
    BoundedMatrix out(x.rows, n * n);
    const BoundedMatrix start = softmax(x, n);
    for (std::int64_t r = 0; r < x.rows; ++r) {
        Matrix m(n, n);  // [src, dst]
        double relative = 0;
        for (std::int64_t i = 0; i < n * n; ++i) {
            m.values[static_cast<std::size_t>(i)] = start.values.at(r, i) + eps;
            relative = std::max(relative, start.errors.at(r, i) / start.values.at(r, i));
        }
        const auto divide = [&](bool over_src) {
            for (std::int64_t i = 0; i < n; ++i) {
                double sum = eps;
                for (std::int64_t j = 0; j < n; ++j) sum += over_src ? m.at(j, i) : m.at(i, j);
                for (std::int64_t j = 0; j < n; ++j) (over_src ? m.at(j, i) : m.at(i, j)) /= sum;
            }
        };
        divide(true);
        for (std::int64_t i = 1; i < iterations; ++i) {
            divide(false);
            divide(true);
        }
        // All terms are positive, so a division adds n + 2 relative steps; what it was off before it halves
        // or keeps, on either side.
        const double steps = 2 * (relative + static_cast<double>(2 * iterations * (n + 2)) * kUnit);
        for (std::int64_t src = 0; src < n; ++src)
            for (std::int64_t dst = 0; dst < n; ++dst)
                out.set(r, dst * n + src, {m.at(src, dst), steps * m.at(src, dst)});
    }
    return out;
}

}  // namespace assay::backend::reference
