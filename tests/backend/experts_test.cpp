// Routing and the products of chosen experts.
#include <algorithm>
#include <cmath>

#include "backend/backend_case.h"
#include "core/error.h"

namespace assay::backend {
namespace {

using reference::Matrix;

constexpr std::int64_t kExperts = 8;
constexpr std::int64_t kHidden = 96;
constexpr std::int64_t kOut = 72;
constexpr std::int64_t kFfn = 64;

/// What the experts of a network are.
struct Kind {
    GateFunction function{};
    bool gated = true;
    bool biases = false;
    bool weigh_input = false;
    bool down = true;

    std::int64_t inner() const { return down ? (gated ? 2 : 1) * kFfn : kOut; }
};

struct Network {
    Kind kind;
    Matrix x;
    Matrix logits;
    Matrix before;
    std::vector<Matrix> gate_up;
    std::vector<Matrix> down;
    std::vector<float> gate_up_bias;
    std::vector<float> down_bias;
    std::vector<MatrixPtr> device_gate_up;
    std::vector<MatrixPtr> device_down;
};

struct Pass {
    std::vector<std::byte> out;
    std::vector<float> input_squares;
    std::vector<float> input_plain;
    std::vector<float> down_squares;
    std::vector<float> down_plain;
    std::vector<std::int64_t> counts;
};

class ExpertsTest : public BackendTest {
  protected:
    Network make(std::int64_t n_rows, const Kind& kind = {}) {
        Network n;
        n.kind = kind;
        n.x = random(n_rows, kHidden, DType::F32);
        n.logits = random(n_rows, kExperts, DType::F32, 1.5);
        // Expert 4 is never chosen.
        for (std::int64_t r = 0; r < n_rows; ++r) n.logits.at(r, 4) = -20;
        n.before = random(n_rows, kOut, DType::F32);
        if (kind.biases) {
            n.gate_up_bias = random_floats(kExperts * kind.inner());
            n.down_bias = random_floats(kExperts * kOut);
        }
        for (std::int64_t e = 0; e < kExperts; ++e) {
            n.gate_up.push_back(random(kind.inner(), kHidden, backend().operand_dtype(), 0.1));
            n.device_gate_up.push_back(prepare(n.gate_up.back()));
            if (!kind.down) continue;
            n.down.push_back(random(kOut, kFfn, backend().operand_dtype(), 0.1));
            n.device_down.push_back(prepare(n.down.back()));
        }
        return n;
    }

    /// Experts in batches of the given sizes, chunks first .. first + n.
    Pass run(const Network& n, RouteArgs args, Rows rows, std::int64_t first_chunk,
             const std::vector<std::int64_t>& batches) {
        const std::int64_t first = first_chunk * rows.chunk_tokens;
        if (!args.chosen.empty())
            args.chosen = args.chosen.subspan(static_cast<std::size_t>(first * args.n_used),
                                              static_cast<std::size_t>(rows.count() * args.n_used));
        const BufferPtr gate_up_bias = store(n.gate_up_bias), down_bias = store(n.down_bias);
        const Stored x = store(n.x, DType::F32);
        const Stored logits = store(n.logits, DType::F32);
        const Stored out = store(n.before, DType::F32);
        const View x_view = x.view.row_range(first, rows.count());
        const View out_view = out.view.row_range(first, rows.count());
        const RoutingPtr routing = backend().route(logits.view.row_range(first, rows.count()), args, rows);
        Pass pass;
        for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
            for (std::int64_t e = 0; e < kExperts; ++e) pass.counts.push_back(routing->count(chunk, e));
        const auto size = static_cast<std::size_t>(rows.n_chunks * kExperts);
        pass.input_squares.resize(size * kHidden);
        pass.input_plain.resize(size * kHidden);
        pass.down_squares.resize(size * kFfn);
        pass.down_plain.resize(size * kFfn);
        std::int64_t expert = 0;
        for (const std::int64_t n_batch : batches) {
            const std::int64_t sums_rows = rows.n_chunks * n_batch;
            const Stored is = blank(sums_rows, kHidden, DType::F32),
                         ip = blank(sums_rows, kHidden, DType::F32);
            const Stored ds = blank(sums_rows, kFfn, DType::F32), dp = blank(sums_rows, kFfn, DType::F32);
            ExpertBatch batch;
            batch.first = expert;
            const auto at = static_cast<std::size_t>(expert);
            const auto count = static_cast<std::size_t>(n_batch);
            batch.gate_up = std::span(n.device_gate_up).subspan(at, count);
            if (n.kind.down) batch.down = std::span(n.device_down).subspan(at, count);
            if (n.kind.biases) {
                batch.gate_up_bias = gate_up_bias->f32() + expert * n.kind.inner();
                batch.down_bias = down_bias->f32() + expert * kOut;
            }
            batch.function = n.kind.function;
            batch.gated = n.kind.gated;
            batch.weigh_input = n.kind.weigh_input;
            batch.input_sums = {is.buffer->f32(), ip.buffer->f32()};
            if (n.kind.down) batch.down_sums = {ds.buffer->f32(), dp.buffer->f32()};
            backend().experts(x_view, *routing, batch, rows, out_view);
            const auto spread = [&](const View& view, std::vector<float>& to) {
                const Matrix m = fetch(view);
                for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
                    for (std::int64_t e = 0; e < n_batch; ++e)
                        for (std::int64_t c = 0; c < m.cols; ++c)
                            to[static_cast<std::size_t>((chunk * kExperts + expert + e) * m.cols + c)] =
                                static_cast<float>(m.at(chunk * n_batch + e, c));
            };
            spread(is.view, pass.input_squares);
            spread(ip.view, pass.input_plain);
            spread(ds.view, pass.down_squares);
            spread(dp.view, pass.down_plain);
            expert += n_batch;
        }
        pass.out = fetch_bytes(out_view);
        return pass;
    }
};
INSTANTIATE_TEST_SUITE_P(Backends, ExpertsTest, testing::ValuesIn(all_cases()), name_of);

RouteArgs route_args(Gating gating, bool normalise) {
    RouteArgs args;
    args.n_used = 3;
    args.gating = gating;
    args.normalise = normalise;
    args.weight_scale = 1.5f;
    return args;
}

struct ExpertsCase {
    RouteArgs args;
    Kind kind{};
    bool bias = false;
    bool chosen = false;
};

std::vector<ExpertsCase> experts_cases() {
    std::vector<ExpertsCase> cases{{route_args(Gating::Softmax, false)},
                                   {route_args(Gating::Softmax, true)},
                                   {route_args(Gating::Sigmoid, true)},
                                   {route_args(Gating::SoftmaxSelected, false)},
                                   {route_args(Gating::SqrtSoftplus, true)}};
    for (const Gating gating :
         {Gating::Softmax, Gating::Sigmoid, Gating::SqrtSoftplus, Gating::SoftmaxSelected})
        for (const bool select_logits : {false, true}) {
            cases.push_back({route_args(gating, select_logits), {}, true, false});
            cases.back().args.select_logits = select_logits;
            cases.push_back(cases.back());
            cases.back().args.n_groups = 4;
            cases.back().args.n_groups_used = 2;
        }
    cases.push_back({route_args(Gating::Softmax, false)});
    cases.back().args.n_groups = 2;
    cases.push_back({route_args(Gating::SoftmaxSelected, false), {}, false, true});
    cases.push_back({route_args(Gating::SqrtSoftplus, true), {}, false, true});
    const RouteArgs args = route_args(Gating::Softmax, true);
    const GateFunction oai{GateKind::SwigluOai, Activation::Silu, 0.9f, 1.702f};
    const GateFunction relu2{GateKind::Activated, Activation::Relu2, 0, 0};
    cases.push_back({args, {.function = oai, .biases = true}});
    cases.push_back({args, {.function = {GateKind::ClampedBefore, Activation::Silu, 0.7f, 0}}});
    cases.push_back({args, {.function = relu2, .gated = false}});
    cases.push_back({args, {.function = relu2, .gated = false, .biases = true}});
    cases.push_back({route_args(Gating::Sigmoid, false), {.weigh_input = true}});
    cases.push_back({args, {.biases = true, .weigh_input = true}});
    const GateFunction identity{GateKind::Activated, Activation::Identity, 0, 0};
    cases.push_back({args, {.function = identity, .down = false}});
    cases.push_back({args, {.function = identity, .biases = true, .weigh_input = true, .down = false}});
    cases.push_back({args, {.down = false}});
    cases.push_back({args, {.biases = true, .down = false}});
    return cases;
}

TEST_P(ExpertsTest, AgreesWithTheReference) {
    const Rows rows{3, 50};
    for (ExpertsCase& c : std::vector<ExpertsCase>(experts_cases())) {
        SCOPED_TRACE(testing::Message()
                     << "gating " << static_cast<int>(c.args.gating) << " " << c.args.normalise << ", groups "
                     << c.args.n_groups << ", bias " << c.bias << " to logits " << c.args.select_logits
                     << ", function " << static_cast<int>(c.kind.function.kind) << ", gated " << c.kind.gated
                     << ", biases " << c.kind.biases << ", weighed " << c.kind.weigh_input << ", down "
                     << c.kind.down);
        const Network n = make(rows.count(), c.kind);
        const std::vector<float> bias = c.bias ? random_floats(kExperts, 0.5) : std::vector<float>{};
        const BufferPtr device_bias = store(bias);
        if (c.bias) c.args.selection_bias = device_bias->f32();
        std::vector<std::int32_t> chosen;
        for (std::int32_t r = 0; c.chosen && r < rows.count(); ++r)
            for (const std::int32_t e : {r % 7, (r + 3) % 7, 7}) chosen.push_back(e);
        c.args.chosen = chosen;
        const std::vector<reference::Choice> choices = reference::route(n.logits, c.args, bias);
        const Pass pass = run(n, c.args, rows, 0, {kExperts});

        Matrix truth = n.before;
        Matrix allowed(truth.rows, truth.cols);
        Matrix input_squares(rows.n_chunks * kExperts, kHidden);
        Matrix down_squares(rows.n_chunks * kExperts, kFfn);
        Matrix down_error(rows.n_chunks * kExperts, kFfn);
        std::vector<std::int64_t> counts(static_cast<std::size_t>(rows.n_chunks * kExperts));
        const double in = operand_epsilon();
        const double act = activation_epsilon();
        for (std::int64_t r = 0; r < truth.rows; ++r) {
            const auto& choice = choices[static_cast<std::size_t>(r)];
            for (std::size_t slot = 0; slot < choice.experts.size(); ++slot) {
                const std::int64_t e = choice.experts[slot];
                const std::int64_t cell = r / rows.chunk_tokens * kExperts + e;
                ++counts[static_cast<std::size_t>(cell)];
                const Matrix& w = n.gate_up[static_cast<std::size_t>(e)];
                // A weight is an exponential over a sum of them.
                const double weight_error = 40 * 0x1p-24;
                const double before = c.kind.weigh_input ? choice.weights[slot] : 1;
                const double after = c.kind.weigh_input ? 1 : choice.weights[slot];
                Matrix x(1, kHidden);
                for (std::int64_t i = 0; i < kHidden; ++i) {
                    x.at(0, i) = before * n.x.at(r, i);
                    input_squares.at(cell, i) += x.at(0, i) * x.at(0, i);
                }
                const Matrix products = reference::product(x, w);
                const Matrix magnitudes = reference::product_of_magnitudes(x, w);
                const auto bias_at = [&](const std::vector<float>& all, std::int64_t cols, std::int64_t col) {
                    return c.kind.biases ? static_cast<double>(all[static_cast<std::size_t>(e * cols + col)])
                                         : 0.0;
                };
                const auto error = [&](std::int64_t col) {
                    return (in * 1.01 + 240 * 0x1p-24) * magnitudes.at(0, col) +
                           act * 1.01 * std::abs(products.at(0, col));
                };
                const auto leave = [&](std::int64_t col, double value, double value_error) {
                    truth.at(r, col) += after * value;
                    allowed.at(r, col) += after * (value_error + weight_error * std::abs(value)) +
                                          32 * 0x1p-24 * std::abs(truth.at(r, col)) +
                                          act * 1.01 * std::abs(after * value);
                };
                const auto value = [&](std::int64_t col) {
                    return products.at(0, col) + bias_at(n.gate_up_bias, c.kind.inner(), col);
                };
                if (!c.kind.down) {
                    for (std::int64_t col = 0; col < kOut; ++col)
                        leave(col, reference::gate(c.kind.function, value(col), 1),
                              reference::gate_error(c.kind.function, value(col), 1, error(col), 0));
                    continue;
                }
                Matrix hidden(1, kFfn);
                Matrix hidden_error(1, kFfn);
                for (std::int64_t f = 0; f < kFfn; ++f) {
                    const double u = c.kind.gated ? value(kFfn + f) : 1;
                    const double u_error = c.kind.gated ? error(kFfn + f) : 0;
                    hidden.at(0, f) = reference::gate(c.kind.function, value(f), u);
                    const double own = reference::gate_error(c.kind.function, value(f), u, error(f), u_error);
                    hidden_error.at(0, f) = own + 1.01 * in * std::abs(hidden.at(0, f));
                    down_squares.at(cell, f) += hidden.at(0, f) * hidden.at(0, f);
                    down_error.at(cell, f) += (2 * std::abs(hidden.at(0, f)) + own) * own;
                }
                const Matrix& down = n.down[static_cast<std::size_t>(e)];
                const Matrix y = reference::product(hidden, down);
                for (std::int64_t col = 0; col < kOut; ++col) {
                    double y_error = 0;
                    for (std::int64_t f = 0; f < kFfn; ++f)
                        y_error += (hidden_error.at(0, f) + 100 * 0x1p-24 * std::abs(hidden.at(0, f))) *
                                   std::abs(down.at(col, f));
                    leave(col, y.at(0, col) + bias_at(n.down_bias, kOut, col), y_error);
                }
            }
        }
        EXPECT_EQ(pass.counts, counts);
        Matrix out(truth.rows, truth.cols);
        const auto* values = reinterpret_cast<const float*>(pass.out.data());
        std::copy(values, values + out.values.size(), out.values.begin());
        expect_near(out, truth, [&](auto r, auto col) { return allowed.at(r, col) + 1e-6; });
        const auto steps = 160 * 0x1p-24;  // additions, and twice the error of a weight
        for (std::int64_t cell = 0; cell < input_squares.rows; ++cell) {
            for (std::int64_t i = 0; i < kHidden; ++i)
                ASSERT_NEAR(pass.input_squares[static_cast<std::size_t>(cell * kHidden + i)],
                            input_squares.at(cell, i), steps * input_squares.at(cell, i));
            for (std::int64_t f = 0; c.kind.down && f < kFfn; ++f)
                ASSERT_NEAR(pass.down_squares[static_cast<std::size_t>(cell * kFfn + f)],
                            down_squares.at(cell, f),
                            down_error.at(cell, f) + steps * down_squares.at(cell, f));
        }
        if (HasFailure()) return;
    }
}

TEST_P(ExpertsTest, TiesGoToTheLowerIndex) {
    const Rows rows{1, 3};
    const Stored logits = store(Matrix(3, kExperts), DType::F32);
    for (const Gating gating :
         {Gating::Softmax, Gating::Sigmoid, Gating::SqrtSoftplus, Gating::SoftmaxSelected})
        for (const std::int64_t n_groups : {1, 4}) {
            RouteArgs args = route_args(gating, true);
            args.n_groups = n_groups;
            args.n_groups_used = std::min<std::int64_t>(n_groups, 2);
            const RoutingPtr routing = backend().route(logits.view, args, rows);
            for (std::int64_t e = 0; e < kExperts; ++e) EXPECT_EQ(routing->count(0, e), e < 3 ? 3 : 0);
        }
}

TEST_P(ExpertsTest, RefusesAChoiceThatIsNone) {
    const Stored logits = store(Matrix(1, kExperts), DType::F32);
    RouteArgs args = route_args(Gating::Sigmoid, true);
    for (const std::vector<std::int32_t>& chosen :
         std::vector<std::vector<std::int32_t>>{{0, 1, 8}, {0, -1, 2}, {3, 1, 3}, {0, 1}}) {
        args.chosen = chosen;
        EXPECT_THROW(backend().route(logits.view, args, {1, 1}), Error);
    }
    args.chosen = {};
    args.n_groups = 4;
    EXPECT_THROW(backend().route(logits.view, args, {1, 1}), Error) << "three of one group of two";
}

TEST_P(ExpertsTest, NeitherBatchesNorCallsMatter) {
    const Rows rows{3, 50};
    const Network n = make(rows.count(), {.biases = true});
    const RouteArgs args = route_args(Gating::Softmax, true);
    const Pass whole = run(n, args, rows, 0, {kExperts});
    const Pass batched = run(n, args, rows, 0, {1, 4, 3});
    EXPECT_TRUE(batched.out == whole.out);
    EXPECT_EQ(batched.input_squares, whole.input_squares);
    EXPECT_EQ(batched.input_plain, whole.input_plain);
    EXPECT_EQ(batched.down_squares, whole.down_squares);
    EXPECT_EQ(batched.down_plain, whole.down_plain);
    Pass parts;
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk) {
        const Pass part = run(n, args, {1, rows.chunk_tokens}, chunk, {kExperts});
        const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
        append(parts.out, part.out);
        append(parts.input_squares, part.input_squares);
        append(parts.down_squares, part.down_squares);
        append(parts.down_plain, part.down_plain);
    }
    EXPECT_TRUE(parts.out == whole.out);
    EXPECT_EQ(parts.input_squares, whole.input_squares);
    EXPECT_EQ(parts.down_squares, whole.down_squares);
    EXPECT_EQ(parts.down_plain, whole.down_plain);
}

}  // namespace
}  // namespace assay::backend
