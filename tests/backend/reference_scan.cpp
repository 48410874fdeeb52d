// Scans in double. The bound follows the error of a column of the state, in the 2-norm: a step takes it by at
// most its largest stretch, and adds what rounding takes of the numbers that meet.
#include <cmath>

#include "backend/reference_mixers.h"

namespace assay::backend::reference {

namespace {

double length(const std::vector<double>& x) {
    double squares = 0;
    for (const double v : x) squares += v * v;
    return std::sqrt(squares);
}

std::vector<double> columns(const Matrix& m, std::int64_t row, std::int64_t first, std::int64_t n) {
    const auto begin = m.values.begin() + row * m.cols + first;
    return {begin, begin + n};
}

double dot(const std::vector<double>& x, const std::vector<double>& y) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
    return sum;
}

/// What one token brings to one head.
struct Token {
    std::vector<double> q, k, w, a, b, u;
    double beta = 0;
};

struct Column {
    std::vector<double> s;
    double error = 0;
};

Bounded advance(ScanKind kind, const Token& t, double v, Column& column) {
    const auto n = t.q.size();
    const double steps = (static_cast<double>(n) + 8) * kUnit;
    const double k_length = length(t.k);
    const double q_length = length(t.q);
    std::vector<double>& s = column.s;
    const double before = length(s);
    Bounded out;
    if (kind == ScanKind::Bonus) {
        double own = 0, magnitudes = 0;
        for (std::size_t i = 0; i < n; ++i) {
            own += t.q[i] * t.u[i] * t.k[i];
            magnitudes += std::abs(t.q[i] * t.u[i] * t.k[i]);
        }
        out.value = dot(t.q, s) + own * v;
        out.error = q_length * column.error + steps * (q_length * before + magnitudes * std::abs(v));
    }
    const double a_dot = kind == ScanKind::Rank1 ? dot(t.a, s) : 0;
    double largest = 0;
    for (std::size_t i = 0; i < n; ++i) {
        s[i] *= t.w[i];
        largest = std::max(largest, std::abs(t.w[i]));
    }
    double stretch = largest;
    double met = before + k_length * std::abs(v);
    double value = v;
    if (kind == ScanKind::Delta) {
        value = t.beta * (v - dot(t.k, s));
        stretch *= std::max(1.0, std::abs(1 - t.beta * k_length * k_length));
        met += t.beta * k_length * (k_length * before + std::abs(v));
    }
    for (std::size_t i = 0; i < n; ++i) s[i] += t.k[i] * value;
    if (kind == ScanKind::Rank1) {
        for (std::size_t i = 0; i < n; ++i) s[i] += t.b[i] * a_dot;
        stretch += length(t.a) * length(t.b);
        met += length(t.a) * length(t.b) * before;
    }
    column.error = stretch * column.error + steps * met;
    if (kind != ScanKind::Bonus) out = {dot(t.q, s), q_length * column.error + steps * q_length * length(s)};
    return out;
}

}  // namespace

BoundedMatrix scan(const Scan& args, std::int64_t chunk_tokens) {
    BoundedMatrix out(args.q.rows, args.n_heads * args.value_dim);
    const std::int64_t n = args.key_dim;
    std::vector<Column> state;
    for (std::int64_t head = 0; head < args.n_heads; ++head) {
        const std::int64_t key_head =
            args.interleaved ? head % args.n_key_heads : head / (args.n_heads / args.n_key_heads);
        for (std::int64_t row = 0; row < args.q.rows; ++row) {
            if (row % chunk_tokens == 0)
                state.assign(static_cast<std::size_t>(args.value_dim),
                             Column{std::vector<double>(static_cast<std::size_t>(n)), 0});
            Token t;
            t.q = columns(args.q, row, key_head * n, n);
            t.k = columns(args.k, row, key_head * n, n);
            if (args.decay.cols == args.n_heads * n && args.decay.rows > 0 && n > 1)
                t.w = columns(args.decay, row, head * n, n);
            else
                t.w.assign(static_cast<std::size_t>(n),
                           args.decay.rows > 0
                               ? args.decay.at(row, head)
                               : static_cast<double>(args.constant_decay[static_cast<std::size_t>(head)]));
            if (args.kind == ScanKind::Delta) t.beta = args.beta.at(row, head);
            if (args.kind == ScanKind::Rank1) {
                t.a = columns(args.a, row, head * n, n);
                t.b = columns(args.b, row, head * n, n);
            }
            if (args.kind == ScanKind::Bonus)
                t.u.assign(args.bonus.begin() + head * n, args.bonus.begin() + (head + 1) * n);
            for (std::int64_t c = 0; c < args.value_dim; ++c) {
                const std::int64_t col = head * args.value_dim + c;
                const Bounded o =
                    advance(args.kind, t, args.v.at(row, col), state[static_cast<std::size_t>(c)]);
                out.set(row, col,
                        {args.scale * o.value, std::abs(args.scale) * (o.error + kUnit * std::abs(o.value))});
            }
        }
    }
    return out;
}

BoundedMatrix selective_scan(const SelectiveScan& args, std::int64_t chunk_tokens) {
    BoundedMatrix out(args.x.rows, args.x.cols);
    const std::int64_t n_state = args.b.cols;
    for (std::int64_t c = 0; c < args.x.cols; ++c) {
        std::vector<Bounded> state;
        for (std::int64_t row = 0; row < args.x.rows; ++row) {
            if (row % chunk_tokens == 0) state.assign(static_cast<std::size_t>(n_state), {});
            const double x = args.x.at(row, c);
            const double dt = args.dt.at(row, c);
            const double d = static_cast<double>(args.d[static_cast<std::size_t>(c)]);
            Bounded sum{d * x, 0};
            double magnitudes = std::abs(d * x);
            for (std::int64_t n = 0; n < n_state; ++n) {
                Bounded& s = state[static_cast<std::size_t>(n)];
                const double exponent =
                    dt * static_cast<double>(args.a[static_cast<std::size_t>(c * n_state + n)]);
                const double factor = std::exp(exponent);
                const double brought = dt * x * args.b.at(row, n);
                // The exponent is off by two steps of itself, or of itself in another base.
                s.error =
                    factor * s.error + kUnit * (factor * std::abs(s.value) * (3 * std::abs(exponent) + 6) +
                                                4 * std::abs(brought));
                s.value = factor * s.value + brought;
                const double read = args.c.at(row, n);
                sum.value += s.value * read;
                sum.error += s.error * std::abs(read);
                magnitudes += std::abs(s.value * read);
            }
            sum.error += static_cast<double>(n_state + 3) * kUnit * magnitudes;
            out.set(row, c, sum);
        }
    }
    return out;
}

}  // namespace assay::backend::reference
