#include "oracle/functions.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/half.h"

namespace assay::oracle {

namespace {

double to_half(double x) { return static_cast<double>(half_to_float(float_to_half(static_cast<float>(x)))); }

/// As llama.cpp reads it from a table of halves: between -10 and 10 argument and result are rounded to half.
/// Its perplexities move by 1e-4 with that.
double gelu(double x) {
    if (x >= 10) return x;
    if (x <= -10) return 0;
    const double h = to_half(x);
    return to_half(0.5 * h * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (h + 0.044715 * h * h * h))));
}

}  // namespace

double activate(Activation activation, double x) {
    switch (activation) {
        case Activation::Identity: return x;
        case Activation::Silu: return x / (1 + std::exp(-x));
        case Activation::Gelu: return gelu(x);
        case Activation::Relu: return std::max(x, 0.0);
        case Activation::Relu2: return x > 0 ? x * x : 0;
        case Activation::Sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::Tanh: return std::tanh(x);
        case Activation::Exp: return std::exp(x);
        case Activation::Softplus: return x > 20 ? x : std::log1p(std::exp(x));
        case Activation::Log2OnePlusExp2: return std::log1p(std::exp2(x)) / std::numbers::ln2;
        case Activation::SignedRoot: {
            const double root = std::sqrt(std::max(std::abs(x), 1e-6));
            return x > 0 ? root : x < 0 ? -root : 0;
        }
    }
    return NAN;
}

double gate(const GateFunction& function, double g, double u) {
    const double limit = function.limit;
    const double slope = function.slope;
    const double bounded = std::clamp(u, -std::abs(limit), std::abs(limit));
    switch (function.kind) {
        case GateKind::Activated: return activate(function.activation, g) * u;
        case GateKind::ClampedBefore: return activate(Activation::Silu, std::min(g, limit)) * bounded;
        case GateKind::ClampedAfter: return std::min(activate(Activation::Silu, g), limit) * bounded;
        case GateKind::SwigluOai: {
            const double h = std::min(g, limit);
            return h * activate(Activation::Sigmoid, slope * h) * (bounded + 1);
        }
        case GateKind::Situ:
            return slope * std::tanh(g / slope) * activate(Activation::Sigmoid, g) * limit *
                   std::tanh(u / limit);
    }
    return NAN;
}

Table normalise(const Table& x, const model::Norm& norm, std::int64_t n_slices, const Tensors& tensors) {
    if (!norm.present()) return x;
    const Numbers weight = tensors.vector(norm.weight);
    const Numbers bias = tensors.vector(norm.bias);
    const std::int64_t width = x.cols / n_slices;
    const auto n = static_cast<double>(width);
    const double eps = norm.eps;
    Table y = x;
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t first = 0; first < x.cols; first += width) {
            double mean = 0, squares = 0;
            if (norm.kind == NormKind::Layer)
                for (std::int64_t c = first; c < first + width; ++c) mean += x.at(r, c) / n;
            for (std::int64_t c = first; c < first + width; ++c)
                squares += (x.at(r, c) - mean) * (x.at(r, c) - mean);
            double divisor = std::sqrt(squares / n + eps);
            if (norm.kind == NormKind::L2) divisor = std::sqrt(squares + eps);
            if (norm.kind == NormKind::L2Max) divisor = std::max(std::sqrt(squares), eps);
            for (std::int64_t c = first; c < first + width; ++c) {
                const auto own = [&](const Numbers& numbers) {  // of the row, or of a slice
                    return at(numbers, static_cast<std::int64_t>(numbers.size()) == x.cols ? c : c - first);
                };
                y.at(r, c) = (x.at(r, c) - mean) / divisor * (weight.empty() ? 1 : own(weight)) +
                             (bias.empty() ? 0 : own(bias));
            }
        }
    return y;
}

Table turn(const Table& x, const model::TurnHeads& op, const Tensors& tensors) {
    Table y = op.norm_last ? x : normalise(x, op.norm, op.n_heads, tensors);
    const Numbers frequencies = tensors.vector(op.rope.frequencies);
    const auto pairs = static_cast<std::int64_t>(frequencies.size());
    const std::int64_t width = x.cols / op.n_heads;
    const double magnitude = op.rope.magnitude;
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t first = op.first; first < x.cols; first += width)
            for (std::int64_t p = 0; p < pairs; ++p) {
                const double angle = static_cast<double>(r) * at(frequencies, p) * (op.backwards ? -1 : 1);
                const bool halves = op.rope.pairing == Pairing::Halves;
                double& a = y.at(r, first + (halves ? p : 2 * p));
                double& b = y.at(r, first + (halves ? p + pairs : 2 * p + 1));
                const double before = a;
                a = magnitude * (before * std::cos(angle) - b * std::sin(angle));
                b = magnitude * (before * std::sin(angle) + b * std::cos(angle));
            }
    return op.norm_last ? normalise(y, op.norm, op.n_heads, tensors) : y;
}

Table reduce(const Table& x, Reduction kind, std::int64_t n_slices) {
    const std::int64_t width = x.cols / n_slices;
    const auto n = static_cast<double>(width);
    Table y(x.rows, n_slices);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t s = 0; s < n_slices; ++s) {
            double sum = 0, squares = 0, away = 0;
            for (std::int64_t c = s * width; c < (s + 1) * width; ++c) {
                sum += x.at(r, c);
                squares += x.at(r, c) * x.at(r, c);
            }
            for (std::int64_t c = s * width; c < (s + 1) * width; ++c)
                away += (x.at(r, c) - sum / n) * (x.at(r, c) - sum / n);
            switch (kind) {
                case Reduction::Sum: y.at(r, s) = sum; break;
                case Reduction::Mean: y.at(r, s) = sum / n; break;
                case Reduction::Length: y.at(r, s) = std::sqrt(squares); break;
                case Reduction::Deviation: y.at(r, s) = std::sqrt(away / (n - 1)); break;
            }
        }
    return y;
}

Table softmax(const Table& x, std::int64_t n_slices) {
    const std::int64_t width = x.cols / n_slices;
    Table y(x.rows, x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t first = 0; first < x.cols; first += width) {
            double largest = x.at(r, first), total = 0;
            for (std::int64_t c = first; c < first + width; ++c) largest = std::max(largest, x.at(r, c));
            for (std::int64_t c = first; c < first + width; ++c)
                total += y.at(r, c) = std::exp(x.at(r, c) - largest);
            for (std::int64_t c = first; c < first + width; ++c) y.at(r, c) /= total;
        }
    return y;
}

Table sinkhorn(const Table& x, const model::Sinkhorn& op) {
    const std::int64_t n = op.n;
    Table m = softmax(x, n);  // [src * n + dst]
    Table y(x.rows, x.cols);
    for (double& value : m.values) value += static_cast<double>(op.eps);
    for (std::int64_t r = 0; r < x.rows; ++r) {
        const auto divide = [&](std::int64_t step, std::int64_t over) {
            for (std::int64_t i = 0; i < n; ++i) {
                double sum = op.eps;
                for (std::int64_t j = 0; j < n; ++j) sum += m.at(r, i * step + j * over);
                for (std::int64_t j = 0; j < n; ++j) m.at(r, i * step + j * over) /= sum;
            }
        };
        divide(1, n);
        for (std::int64_t i = 1; i < op.iterations; ++i) {
            divide(n, 1);
            divide(1, n);
        }
        for (std::int64_t src = 0; src < n; ++src)
            for (std::int64_t dst = 0; dst < n; ++dst) y.at(r, dst * n + src) = m.at(r, src * n + dst);
    }
    return y;
}

void mix(const Table& x, const Table& coefficients, const model::Mix& op, Table& out) {
    const std::int64_t width = x.cols / op.n_in;
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t j = 0; j < op.n_out; ++j)
            for (std::int64_t i = 0; i < op.n_in; ++i)
                for (std::int64_t c = 0; c < width; ++c)
                    out.at(r, j * width + c) += coefficients.at(r, j * op.n_in + i) * x.at(r, i * width + c);
}

Table chain(const Table& x, const std::vector<model::Link>& links, const std::vector<Operand>& operands) {
    Table y = x;
    for (std::size_t l = 0; l < links.size(); ++l) {
        const model::Link& link = links[l];
        const Operand& operand = operands[l];
        const std::int64_t n =
            operand.vector.empty() ? operand.value.cols : static_cast<std::int64_t>(operand.vector.size());
        const auto other = [&](std::int64_t r, std::int64_t c) {
            const std::int64_t from = link.tiled ? c % n : c / (x.cols / n);
            if (!operand.vector.empty()) return at(operand.vector, from);
            if (!link.previous) return operand.value.at(r, from);
            return r == 0 ? 0.0 : operand.value.at(r - 1, from);
        };
        for (std::int64_t r = 0; r < x.rows; ++r)
            for (std::int64_t c = 0; c < x.cols; ++c) {
                double& v = y.at(r, c);
                const auto a = static_cast<double>(link.a), b = static_cast<double>(link.b);
                switch (link.kind) {
                    case LinkKind::Apply: v = activate(link.activation, v); break;
                    case LinkKind::Affine: v = v * a + b; break;
                    case LinkKind::Clamp: v = std::clamp(v, a, b); break;
                    case LinkKind::Times: v *= other(r, c); break;
                    case LinkKind::Plus: v += other(r, c); break;
                    case LinkKind::Minus: v -= other(r, c); break;
                }
            }
    }
    return y;
}

}  // namespace assay::oracle
