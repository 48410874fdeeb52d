#include <algorithm>
#include <cmath>

#include "oracle/functions.h"

namespace assay::oracle {

namespace {

bool sees(const model::Attend& op, std::int64_t p, std::int64_t r) {
    if (op.causal && r > p) return false;
    if (op.window == 0) return true;
    switch (op.window_kind) {
        case WindowKind::Sliding: return p - r < op.window;
        case WindowKind::Chunked: return r >= p / op.window * op.window;
        case WindowKind::Symmetric: return std::abs(p - r) <= op.window / 2;
    }
    return false;
}

/// State [key_dim, value_dim] of one head.
struct Head {
    const ScanInputs& x;
    const model::Scan& op;
    std::int64_t head;
    std::int64_t key_head;
    const Numbers& constant_decay;
    const Numbers& bonus;

    double q(std::int64_t r, std::int64_t i) const { return x.q.at(r, key_head * op.key_dim + i); }
    double k(std::int64_t r, std::int64_t i) const { return x.k.at(r, key_head * op.key_dim + i); }
    double own(const Table& table, std::int64_t r, std::int64_t i) const {
        return table.at(r, head * op.key_dim + i);
    }
    double decay(std::int64_t r, std::int64_t i) const {
        if (x.decay.cols == 0) return at(constant_decay, head);
        return x.decay.cols == op.n_heads ? x.decay.at(r, head) : own(x.decay, r, i);
    }

    /// Column j of the state, s [key_dim], takes row r; what leaves.
    double advance(std::vector<double>& s, std::int64_t r, std::int64_t j) const {
        const auto n = static_cast<std::int64_t>(s.size());
        const auto state = [&](std::int64_t i) -> double& { return s[static_cast<std::size_t>(i)]; };
        const double v = x.v.at(r, head * op.value_dim + j);
        double out = 0;
        if (op.kind == ScanKind::Bonus)
            for (std::int64_t i = 0; i < n; ++i)
                out += (state(i) + at(bonus, head * op.key_dim + i) * k(r, i) * v) * q(r, i);
        double carried = 0;  // a^T S
        if (op.kind == ScanKind::Rank1)
            for (std::int64_t i = 0; i < n; ++i) carried += own(x.a, r, i) * state(i);
        for (std::int64_t i = 0; i < n; ++i) state(i) *= decay(r, i);
        double value = v;
        if (op.kind == ScanKind::Delta) {
            double held = 0;
            for (std::int64_t i = 0; i < n; ++i) held += state(i) * k(r, i);
            value = x.beta.at(r, head) * (v - held);
        }
        for (std::int64_t i = 0; i < n; ++i) {
            state(i) += k(r, i) * value;
            if (op.kind == ScanKind::Rank1) state(i) += own(x.b, r, i) * carried;
        }
        if (op.kind != ScanKind::Bonus)
            for (std::int64_t i = 0; i < n; ++i) out += state(i) * q(r, i);
        return static_cast<double>(op.scale) * out;
    }
};

}  // namespace

Table attend(const Table& q, const Table& k, const Table& v, const model::Attend& op,
             const Tensors& tensors) {
    const Numbers query_scale = tensors.vector(op.query_scale);
    const Numbers sinks = tensors.vector(op.sinks);
    const Numbers slopes = tensors.vector(op.slopes);
    const double soft_cap = op.soft_cap;
    Table out(q.rows, op.n_heads * op.value_dim);
    for (std::int64_t h = 0; h < op.n_heads; ++h) {
        const std::int64_t kv = h / (op.n_heads / op.n_kv_heads);
        for (std::int64_t p = 0; p < q.rows; ++p) {
            std::vector<double> scores;
            std::vector<std::int64_t> seen;
            double largest = sinks.empty() ? -INFINITY : at(sinks, h);
            for (std::int64_t r = 0; r < q.rows; ++r) {
                if (!sees(op, p, r)) continue;
                double score = 0;
                for (std::int64_t d = 0; d < op.head_dim; ++d)
                    score += q.at(p, h * op.head_dim + d) * k.at(r, kv * op.head_dim + d);
                score *= static_cast<double>(op.scale) * (query_scale.empty() ? 1 : at(query_scale, p));
                if (soft_cap > 0) score = soft_cap * std::tanh(score / soft_cap);
                if (!slopes.empty()) score -= at(slopes, h) * static_cast<double>(std::abs(p - r));
                scores.push_back(score);
                seen.push_back(r);
                largest = std::max(largest, score);
            }
            double total = sinks.empty() ? 0 : std::exp(at(sinks, h) - largest);
            for (double& score : scores) total += score = std::exp(score - largest);
            for (std::size_t i = 0; i < seen.size(); ++i)
                for (std::int64_t d = 0; d < op.value_dim; ++d)
                    out.at(p, h * op.value_dim + d) +=
                        scores[i] / total * v.at(seen[i], kv * op.value_dim + d);
        }
    }
    return out;
}

Table convolve(const Table& x, const model::Convolve& op, const Tensors& tensors) {
    const Numbers weight = tensors.vector(op.weight);
    const Numbers bias = tensors.vector(op.bias);
    Table y(x.rows, x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t c = 0; c < x.cols; ++c) {
            double sum = bias.empty() ? 0 : at(bias, c);
            for (std::int64_t j = 0; j < op.kernel; ++j) {
                const std::int64_t from = r - (op.kernel - 1 - j) * op.dilation;
                if (from >= 0) sum += at(weight, c * op.kernel + j) * x.at(from, c);
            }
            y.at(r, c) = activate(op.activation, sum);
        }
    return y;
}

Table scan(const ScanInputs& x, const model::Scan& op, const Tensors& tensors) {
    const Numbers constant_decay = tensors.vector(op.constant_decay);
    const Numbers bonus = tensors.vector(op.bonus);
    Table out(x.q.rows, op.n_heads * op.value_dim);
    for (std::int64_t h = 0; h < op.n_heads; ++h) {
        const std::int64_t key_head = op.interleaved ? h % op.n_key_heads : h / (op.n_heads / op.n_key_heads);
        const Head head{x, op, h, key_head, constant_decay, bonus};
        for (std::int64_t j = 0; j < op.value_dim; ++j) {
            std::vector<double> state(static_cast<std::size_t>(op.key_dim));
            for (std::int64_t r = 0; r < x.q.rows; ++r)
                out.at(r, h * op.value_dim + j) = head.advance(state, r, j);
        }
    }
    return out;
}

Table selective_scan(const Table& x, const Table& dt, const Table& b, const Table& c,
                     const model::SelectiveScan& op, const Tensors& tensors) {
    const Numbers a = tensors.vector(op.a);
    const Numbers d = tensors.vector(op.d);
    const std::int64_t n_state = b.cols;
    Table out(x.rows, x.cols);
    for (std::int64_t channel = 0; channel < x.cols; ++channel) {
        std::vector<double> state(static_cast<std::size_t>(n_state));
        for (std::int64_t r = 0; r < x.rows; ++r) {
            const double step = dt.at(r, channel);
            double sum = at(d, channel) * x.at(r, channel);
            for (std::int64_t n = 0; n < n_state; ++n) {
                double& s = state[static_cast<std::size_t>(n)];
                s = std::exp(step * at(a, channel * n_state + n)) * s + step * x.at(r, channel) * b.at(r, n);
                sum += s * c.at(r, n);
            }
            out.at(r, channel) = sum;
        }
    }
    return out;
}

}  // namespace assay::oracle
