#include "backend/reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assay::backend::reference {

Matrix norm(const Matrix& x, const Norm& norm) {
    Matrix y = x;
    if (norm.kind == NormKind::None) return y;
    const auto n = static_cast<double>(x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r) {
        double mean = 0;
        if (norm.kind == NormKind::Layer) {
            for (std::int64_t c = 0; c < x.cols; ++c) mean += x.at(r, c) / n;
        }
        double squares = 0;
        for (std::int64_t c = 0; c < x.cols; ++c) squares += (x.at(r, c) - mean) * (x.at(r, c) - mean);
        const double scale = 1 / std::sqrt(squares / n + norm.eps);
        for (std::int64_t c = 0; c < x.cols; ++c) {
            const auto i = static_cast<std::size_t>(c);
            y.at(r, c) = (x.at(r, c) - mean) * scale * (norm.weight.empty() ? 1.0 : norm.weight[i]) +
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
    if (activation == Activation::Silu) return x / (1 + std::exp(-x));
    const double pi = std::acos(-1.0);
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / pi) * (x + 0.044715 * x * x * x)));
}

Matrix rotate_heads(const Matrix& x, std::int64_t n_heads, const Norm& head_norm, const Rope& rope,
                    std::int64_t chunk_tokens) {
    const std::int64_t dim = x.cols / n_heads;
    Matrix heads(x.rows * n_heads, dim);
    heads.values = x.values;
    heads = norm(heads, head_norm);
    const auto pairs = static_cast<std::int64_t>(rope.frequencies.size());
    for (std::int64_t h = 0; h < heads.rows; ++h) {
        const auto position = static_cast<double>(h / n_heads % chunk_tokens);
        for (std::int64_t p = 0; p < pairs; ++p) {
            const double angle =
                position * static_cast<double>(rope.frequencies[static_cast<std::size_t>(p)]);
            const std::int64_t a = rope.halves ? p : 2 * p;
            const std::int64_t b = rope.halves ? p + pairs : 2 * p + 1;
            const double u = heads.at(h, a);
            const double v = heads.at(h, b);
            heads.at(h, a) = rope.magnitude * (u * std::cos(angle) - v * std::sin(angle));
            heads.at(h, b) = rope.magnitude * (u * std::sin(angle) + v * std::cos(angle));
        }
    }
    Matrix y(x.rows, x.cols);
    y.values = heads.values;
    return y;
}

AttentionResult attention(const Matrix& q, const Matrix& k, const Matrix& v, const Attention& a,
                          std::int64_t chunk_tokens) {
    AttentionResult result{Matrix(q.rows, a.n_heads * a.value_dim), Matrix(q.rows, a.n_heads * a.value_dim)};
    for (std::int64_t row = 0; row < q.rows; ++row) {
        const std::int64_t position = row % chunk_tokens;
        const std::int64_t first = a.window == 0 ? 0 : std::max<std::int64_t>(0, position - a.window + 1);
        const double factor = a.query_scale.empty() ? 1.0 : a.query_scale[static_cast<std::size_t>(position)];
        for (std::int64_t head = 0; head < a.n_heads; ++head) {
            const std::int64_t kv = head / (a.n_heads / a.n_kv_heads);
            std::vector<double> scores;
            for (std::int64_t p = first; p <= position; ++p) {
                double dot = 0;
                for (std::int64_t d = 0; d < a.head_dim; ++d)
                    dot += q.at(row, head * a.head_dim + d) * k.at(row - position + p, kv * a.head_dim + d);
                dot *= a.scale * factor;
                scores.push_back(a.soft_cap > 0 ? a.soft_cap * std::tanh(dot / a.soft_cap) : dot);
            }
            const double highest = *std::max_element(scores.begin(), scores.end());
            double total = 0;
            for (double& s : scores) total += s = std::exp(s - highest);
            for (std::int64_t d = 0; d < a.value_dim; ++d)
                for (std::int64_t p = first; p <= position; ++p) {
                    const double term = scores[static_cast<std::size_t>(p - first)] / total *
                                        v.at(row - position + p, kv * a.value_dim + d);
                    result.out.at(row, head * a.value_dim + d) += term;
                    result.magnitudes.at(row, head * a.value_dim + d) += std::abs(term);
                }
        }
    }
    return result;
}

std::vector<Choice> route(const Matrix& logits, const RouteArgs& args) {
    std::vector<Choice> choices;
    for (std::int64_t row = 0; row < logits.rows; ++row) {
        std::vector<double> scores;
        double total = 0;
        for (std::int64_t e = 0; e < logits.cols; ++e) total += std::exp(logits.at(row, e));
        for (std::int64_t e = 0; e < logits.cols; ++e) {
            const double logit = logits.at(row, e);
            if (args.gating == Gating::Softmax) scores.push_back(std::exp(logit) / total);
            if (args.gating == Gating::Sigmoid) scores.push_back(1 / (1 + std::exp(-logit)));
            if (args.gating == Gating::SoftmaxSelected) scores.push_back(std::exp(logit));
        }
        Choice choice;
        choice.experts.resize(scores.size());
        std::iota(choice.experts.begin(), choice.experts.end(), 0);
        std::stable_sort(choice.experts.begin(), choice.experts.end(), [&](std::int64_t a, std::int64_t b) {
            return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
        });
        choice.experts.resize(static_cast<std::size_t>(args.n_used));
        double chosen = 0;
        for (const std::int64_t e : choice.experts) chosen += scores[static_cast<std::size_t>(e)];
        const bool relative = args.normalise || args.gating == Gating::SoftmaxSelected;
        for (const std::int64_t e : choice.experts)
            choice.weights.push_back(scores[static_cast<std::size_t>(e)] / (relative ? chosen : 1.0) *
                                     static_cast<double>(args.weight_scale));
        choices.push_back(std::move(choice));
    }
    return choices;
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

}  // namespace assay::backend::reference
