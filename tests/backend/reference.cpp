#include "backend/reference.h"

#include <algorithm>
#include <cmath>

namespace assay::backend::reference {

Matrix norm(const Matrix& x, const Norm& norm) {
    Matrix y = x;
    if (norm.kind == NormKind::None) return y;
    const std::int64_t length = x.cols / norm.n_slices;
    const auto n = static_cast<double>(length);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t first = 0; first < x.cols; first += length) {
            double mean = 0;
            if (norm.kind == NormKind::Layer)
                for (std::int64_t c = first; c < first + length; ++c) mean += x.at(r, c) / n;
            double squares = 0;
            for (std::int64_t c = first; c < first + length; ++c)
                squares += (x.at(r, c) - mean) * (x.at(r, c) - mean);
            double divisor = std::sqrt(squares / n + norm.eps);
            if (norm.kind == NormKind::L2) divisor = std::sqrt(squares + norm.eps);
            if (norm.kind == NormKind::L2Max) divisor = std::max(std::sqrt(squares), norm.eps);
            for (std::int64_t c = first; c < first + length; ++c) {
                const auto i = static_cast<std::size_t>(norm.repeats ? c - first : c);
                y.at(r, c) = (x.at(r, c) - mean) / divisor * (norm.weight.empty() ? 1.0 : norm.weight[i]) +
                             (norm.bias.empty() ? 0.0 : norm.bias[i]);
            }
        }
    return y;
}

namespace {

template <typename Term> Matrix sum_products(const Matrix& x, const Matrix& w, Term term) {
    Matrix y(x.rows, w.rows);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t o = 0; o < w.rows; ++o) {
            double sum = 0;
            for (std::int64_t i = 0; i < x.cols; ++i) sum += term(x.at(r, i) * w.at(o, i));
            y.at(r, o) = sum;
        }
    return y;
}

}  // namespace

Matrix product(const Matrix& x, const Matrix& w) {
    return sum_products(x, w, [](double p) { return p; });
}

Matrix product_of_magnitudes(const Matrix& x, const Matrix& w) {
    return sum_products(x, w, [](double p) { return std::abs(p); });
}

double activate(Activation activation, double x) {
    switch (activation) {
        case Activation::Identity: return x;
        case Activation::Silu: return x / (1 + std::exp(-x));
        case Activation::Gelu:
            return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
        case Activation::Relu: return std::max(x, 0.0);
        case Activation::Relu2: return std::max(x, 0.0) * std::max(x, 0.0);
        case Activation::Sigmoid: return 1 / (1 + std::exp(-x));
        case Activation::Tanh: return std::tanh(x);
        case Activation::Exp: return std::exp(x);
        case Activation::Softplus: return x > 20 ? x : std::log1p(std::exp(x));
        case Activation::Log2OnePlusExp2: return std::log2(1 + std::exp2(x));
        case Activation::SignedRoot: break;  // no feed-forward has it
    }
    return NAN;
}

double gate(const GateFunction& f, double g, double u) {
    const double limit = f.limit;
    const double slope = f.slope;
    const double sigmoid = 1 / (1 + std::exp(-g));
    const double clamped = std::clamp(u, -limit, limit);
    switch (f.kind) {
        case GateKind::Activated: return activate(f.activation, g) * u;
        case GateKind::ClampedBefore: return activate(Activation::Silu, std::min(g, limit)) * clamped;
        case GateKind::ClampedAfter: return std::min(activate(Activation::Silu, g), limit) * clamped;
        case GateKind::SwigluOai: {
            const double h = std::min(g, limit);
            return h / (1 + std::exp(-slope * h)) * (clamped + 1);
        }
        case GateKind::Situ: return slope * std::tanh(g / slope) * sigmoid * limit * std::tanh(u / limit);
    }
    return NAN;
}

double gate_error(const GateFunction& f, double g, double u, double g_error, double u_error) {
    const double truth = gate(f, g, u);
    double most = 0;
    for (const double a : {-1.0, 0.0, 1.0})
        for (const double b : {-1.0, 0.0, 1.0})
            most = std::max(most, std::abs(gate(f, g + a * g_error, u + b * u_error) - truth));
    return 1.5 * most + 16 * 0x1p-24 * (std::abs(g) + 1) * (std::abs(u) + 1);
}

Matrix rotate_heads(const Matrix& x, std::int64_t n_heads, const Norm& head_norm, bool norm_last,
                    const Rope& rope, std::int64_t chunk_tokens) {
    const std::int64_t dim = x.cols / n_heads;
    Matrix y = norm_last ? x : norm(x, head_norm);
    const auto pairs = static_cast<std::int64_t>(rope.frequencies.size());
    for (std::int64_t row = 0; row < x.rows; ++row)
        for (std::int64_t p = 0; p < pairs; ++p) {
            const double angle = static_cast<double>(row % chunk_tokens) *
                                 static_cast<double>(rope.frequencies[static_cast<std::size_t>(p)]) *
                                 (rope.backwards ? -1 : 1);
            const bool halves = rope.pairing == Pairing::Halves;
            for (std::int64_t h = 0; h < n_heads; ++h) {
                const std::int64_t start = h * dim + rope.first;
                double& a = y.at(row, start + (halves ? p : 2 * p));
                double& b = y.at(row, start + (halves ? p + pairs : 2 * p + 1));
                const double u = a;
                const double v = b;
                a = rope.magnitude * (u * std::cos(angle) - v * std::sin(angle));
                b = rope.magnitude * (u * std::sin(angle) + v * std::cos(angle));
            }
        }
    return norm_last ? norm(y, head_norm) : y;
}

namespace {

bool sees(const Attention& a, std::int64_t p, std::int64_t r) {
    if (a.causal && r > p) return false;
    if (a.window == 0) return true;
    switch (a.window_kind) {
        case WindowKind::Sliding: return p - r < a.window;
        case WindowKind::Chunked: return r >= p / a.window * a.window;
        case WindowKind::Symmetric: return std::abs(p - r) <= a.window / 2;
    }
    return false;
}

}  // namespace

AttentionResult attention(const Matrix& q, const Matrix& k, const Matrix& v, const Attention& a,
                          std::int64_t chunk_tokens) {
    AttentionResult result{Matrix(q.rows, a.n_heads * a.value_dim), Matrix(q.rows, a.n_heads * a.value_dim)};
    for (std::int64_t row = 0; row < q.rows; ++row) {
        const std::int64_t position = row % chunk_tokens;
        const double factor = a.query_scale.empty() ? 1.0 : a.query_scale[static_cast<std::size_t>(position)];
        for (std::int64_t head = 0; head < a.n_heads; ++head) {
            const std::int64_t kv = head / (a.n_heads / a.n_kv_heads);
            const auto h = static_cast<std::size_t>(head);
            std::vector<double> scores(static_cast<std::size_t>(chunk_tokens), -INFINITY);
            double highest = a.sinks.empty() ? -INFINITY : static_cast<double>(a.sinks[h]);
            for (std::int64_t p = 0; p < chunk_tokens; ++p) {
                if (!sees(a, position, p)) continue;
                double dot = 0;
                for (std::int64_t d = 0; d < a.head_dim; ++d)
                    dot += q.at(row, head * a.head_dim + d) * k.at(row - position + p, kv * a.head_dim + d);
                dot *= a.scale * factor;
                if (a.soft_cap > 0) dot = a.soft_cap * std::tanh(dot / a.soft_cap);
                if (!a.slopes.empty())
                    dot -= static_cast<double>(a.slopes[h]) * static_cast<double>(std::abs(position - p));
                scores[static_cast<std::size_t>(p)] = dot;
                highest = std::max(highest, dot);
            }
            double total = a.sinks.empty() ? 0 : std::exp(static_cast<double>(a.sinks[h]) - highest);
            for (double& s : scores) total += s = std::exp(s - highest);
            for (std::int64_t p = 0; p < chunk_tokens; ++p) {
                const double weight = scores[static_cast<std::size_t>(p)] / total;
                for (std::int64_t d = 0; weight > 0 && d < a.value_dim; ++d) {
                    const double term = weight * v.at(row - position + p, kv * a.value_dim + d);
                    result.out.at(row, head * a.value_dim + d) += term;
                    result.magnitudes.at(row, head * a.value_dim + d) += std::abs(term);
                }
            }
        }
    }
    return result;
}

double loss(const Matrix& logits, std::int64_t row, std::int64_t target) {
    double highest = logits.at(row, 0);
    for (std::int64_t c = 0; c < logits.cols; ++c) highest = std::max(highest, logits.at(row, c));
    double total = 0;
    for (std::int64_t c = 0; c < logits.cols; ++c) total += std::exp(logits.at(row, c) - highest);
    return std::log(total) + highest - logits.at(row, target);
}

double divergence(const Matrix& a, const Matrix& b, std::int64_t row) {
    const double log_sum_a = loss(a, row, 0) + a.at(row, 0);
    const double log_sum_b = loss(b, row, 0) + b.at(row, 0);
    double sum = 0;
    for (std::int64_t c = 0; c < a.cols; ++c) {
        const double log_p = a.at(row, c) - log_sum_a;
        sum += std::exp(log_p) * (log_p - (b.at(row, c) - log_sum_b));
    }
    return sum;
}

Top top(const Matrix& logits, std::int64_t row) {
    Top top{0, INFINITY};
    for (std::int64_t c = 1; c < logits.cols; ++c) {
        const double above = logits.at(row, c) - logits.at(row, top.entry);
        top = above > 0 ? Top{c, above} : Top{top.entry, std::min(top.lead, -above)};
    }
    return top;
}

}  // namespace assay::backend::reference
