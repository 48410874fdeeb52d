// The products of chosen experts.
#include <algorithm>
#include <cmath>

#include "backend/experts_case.h"

namespace assay::backend {
namespace {

using reference::Matrix;

INSTANTIATE_TEST_SUITE_P(Backends, ExpertsTest, testing::ValuesIn(all_cases()), name_of);

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
    for (const Gating gating : {Gating::Softmax, Gating::Sigmoid}) {
        cases.push_back({route_args(gating, true)});
        cases.back().args.logits_per_expert = 2;
        cases.back().args.select_logits = true;
    }
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
                     << c.kind.down << ", logits of each " << c.args.logits_per_expert);
        const Network n = make(rows.count(), c.kind, c.args.logits_per_expert);
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
        std::vector<double> counts(static_cast<std::size_t>(rows.n_chunks * kExperts));
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
        const Pass part = run(n, args, {1, rows.chunk_tokens}, rows.first_row(chunk), {kExperts});
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

/// More rows than are computed at a time.
TEST_P(ExpertsTest, AllRowsMayChooseOneExpert) {
    const Rows rows{2, 39990};
    const Network n = make(rows.count());
    RouteArgs args = route_args(Gating::Softmax, false);
    args.n_used = 1;
    const std::vector<std::int32_t> chosen(static_cast<std::size_t>(rows.count()), 3);
    args.chosen = chosen;
    const Pass whole = run(n, args, rows, 0, {kExperts});
    Pass parts;
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk) {
        const Pass part = run(n, args, {1, rows.chunk_tokens}, rows.first_row(chunk), {kExperts});
        const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
        append(parts.out, part.out);
        append(parts.input_squares, part.input_squares);
        append(parts.input_plain, part.input_plain);
        append(parts.down_squares, part.down_squares);
        append(parts.down_plain, part.down_plain);
    }
    EXPECT_TRUE(parts.out == whole.out);
    EXPECT_EQ(parts.input_squares, whole.input_squares);
    EXPECT_EQ(parts.input_plain, whole.input_plain);
    EXPECT_EQ(parts.down_squares, whole.down_squares);
    EXPECT_EQ(parts.down_plain, whole.down_plain);
}

TEST_P(ExpertsTest, ChunksOfUnequalLengthAreAsEachAlone) {
    const Rows rows{3, 50};
    const Network n = make(rows.count());
    const RouteArgs args = route_args(Gating::Softmax, true);
    const std::vector<std::int64_t> starts = cut(rows);
    const RowTablePtr table = backend().lay_out(starts, {});
    const Pass whole = run(n, args, Rows::of(*table), 0, {3, 5});
    Pass parts;
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
        const std::int64_t length = starts[i + 1] - starts[i];
        Pass part;
        if (length > 0) part = run(n, args, {1, length}, starts[i], {kExperts});
        part.counts.resize(kExperts);
        const auto append = [](auto& to, auto from, std::int64_t size) {
            if (size > 0) from.resize(static_cast<std::size_t>(size));
            to.insert(to.end(), from.begin(), from.end());
        };
        append(parts.out, part.out, 0);
        append(parts.counts, part.counts, 0);
        append(parts.input_squares, part.input_squares, kExperts * kHidden);
        append(parts.input_plain, part.input_plain, kExperts * kHidden);
        append(parts.down_squares, part.down_squares, kExperts * kFfn);
    }
    EXPECT_TRUE(parts.out == whole.out);
    EXPECT_EQ(parts.counts, whole.counts);
    EXPECT_EQ(parts.input_squares, whole.input_squares);
    EXPECT_EQ(parts.input_plain, whole.input_plain);
    EXPECT_EQ(parts.down_squares, whole.down_squares);
}

/// A row of weight 0 leaves no trace in counts and sums, and one of weight 2 counts twice.
TEST_P(ExpertsTest, RowsCountWhatTheyWeigh) {
    const Rows rows{2, 60};
    const Network n = make(rows.count());
    const RouteArgs args = route_args(Gating::Softmax, true);
    const std::vector<std::int64_t> starts{0, 60, 120};
    std::vector<float> weights(static_cast<std::size_t>(rows.count()), 1.0f);
    const Pass plain = run(n, args, rows, 0, {kExperts});
    const RowTablePtr ones = backend().lay_out(starts, weights);
    const Pass same = run(n, args, Rows::of(*ones), 0, {kExperts});
    EXPECT_TRUE(same.out == plain.out);
    EXPECT_EQ(same.counts, plain.counts);
    EXPECT_EQ(same.input_squares, plain.input_squares);
    EXPECT_EQ(same.down_plain, plain.down_plain);
    for (std::size_t r = 0; r < weights.size(); ++r) weights[r] = static_cast<float>(r % 3) / 2 * 4;
    const RowTablePtr table = backend().lay_out(starts, weights);
    const Pass found = run(n, args, Rows::of(*table), 0, {kExperts});
    EXPECT_TRUE(found.out == plain.out);
    const std::vector<reference::Choice> choices = reference::route(n.logits, args, {});
    std::vector<double> counts(static_cast<std::size_t>(rows.n_chunks * kExperts));
    Matrix squares(rows.n_chunks * kExperts, kHidden);
    for (std::int64_t r = 0; r < rows.count(); ++r)
        for (const std::int64_t e : choices[static_cast<std::size_t>(r)].experts) {
            const std::int64_t cell = r / rows.chunk_tokens * kExperts + e;
            const auto weight = static_cast<double>(weights[static_cast<std::size_t>(r)]);
            counts[static_cast<std::size_t>(cell)] += weight;
            for (std::int64_t i = 0; i < kHidden; ++i)
                squares.at(cell, i) += weight * n.x.at(r, i) * n.x.at(r, i);
        }
    EXPECT_EQ(found.counts, counts);
    for (std::int64_t cell = 0; cell < squares.rows; ++cell)
        for (std::int64_t i = 0; i < kHidden; ++i)  // weights of 0, 2 and 4 scale exactly
            ASSERT_NEAR(found.input_squares[static_cast<std::size_t>(cell * kHidden + i)],
                        squares.at(cell, i), 62 * 0x1p-24 * squares.at(cell, i));
}

}  // namespace
}  // namespace assay::backend
