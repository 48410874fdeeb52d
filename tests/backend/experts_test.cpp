// Routing and the products of chosen experts.
#include <algorithm>
#include <cmath>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using reference::Matrix;

constexpr std::int64_t kExperts = 7;
constexpr std::int64_t kHidden = 96;
constexpr std::int64_t kFfn = 64;

struct Network {
    Matrix x;
    Matrix logits;
    Matrix before;
    std::vector<Matrix> gate_up;
    std::vector<Matrix> down;
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
    Network make(std::int64_t n_rows) {
        Network n;
        n.x = random(n_rows, kHidden, DType::F32);
        n.logits = random(n_rows, kExperts, DType::F32, 1.5);
        // Expert 4 is never chosen.
        for (std::int64_t r = 0; r < n_rows; ++r) n.logits.at(r, 4) = -20;
        n.before = random(n_rows, kHidden, DType::F32);
        for (std::int64_t e = 0; e < kExperts; ++e) {
            n.gate_up.push_back(random(2 * kFfn, kHidden, backend().operand_dtype(), 0.1));
            n.down.push_back(random(kHidden, kFfn, backend().operand_dtype(), 0.1));
            n.device_gate_up.push_back(prepare(n.gate_up.back()));
            n.device_down.push_back(prepare(n.down.back()));
        }
        return n;
    }

    /// Experts in batches of the given sizes, chunks first .. first + n.
    Pass run(const Network& n, const RouteArgs& args, Rows rows, std::int64_t first_chunk,
             const std::vector<std::int64_t>& batches) {
        const std::int64_t first = first_chunk * rows.chunk_tokens;
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
            batch.down = std::span(n.device_down).subspan(at, count);
            batch.input_sums = {is.buffer->f32(), ip.buffer->f32()};
            batch.down_sums = {ds.buffer->f32(), dp.buffer->f32()};
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

TEST_P(ExpertsTest, AgreesWithTheReference) {
    const Rows rows{3, 50};
    for (const RouteArgs& args :
         {route_args(Gating::Softmax, false), route_args(Gating::Softmax, true),
          route_args(Gating::Sigmoid, true), route_args(Gating::SoftmaxSelected, false)}) {
        SCOPED_TRACE(testing::Message()
                     << "gating " << static_cast<int>(args.gating) << " " << args.normalise);
        const Network n = make(rows.count());
        const std::vector<reference::Choice> choices = reference::route(n.logits, args);
        const Pass pass = run(n, args, rows, 0, {kExperts});

        Matrix truth = n.before;
        Matrix allowed(truth.rows, truth.cols);
        Matrix input_squares(rows.n_chunks * kExperts, kHidden);
        Matrix down_squares(rows.n_chunks * kExperts, kFfn);
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
                const Matrix& down = n.down[static_cast<std::size_t>(e)];
                Matrix x(1, kHidden);
                for (std::int64_t c = 0; c < kHidden; ++c) {
                    x.at(0, c) = n.x.at(r, c);
                    input_squares.at(cell, c) += n.x.at(r, c) * n.x.at(r, c);
                }
                const Matrix products = reference::product(x, w);
                const Matrix magnitudes = reference::product_of_magnitudes(x, w);
                Matrix hidden(1, kFfn);
                Matrix hidden_error(1, kFfn);
                for (std::int64_t f = 0; f < kFfn; ++f) {
                    const auto error = [&](std::int64_t col) {
                        return (in * 1.01 + 200 * 0x1p-24) * magnitudes.at(0, col) +
                               act * 1.01 * std::abs(products.at(0, col));
                    };
                    const double gate = reference::activate(Activation::Silu, products.at(0, f));
                    const double up = products.at(0, kFfn + f);
                    hidden.at(0, f) = gate * up;
                    hidden_error.at(0, f) = 1.2 * error(f) * (std::abs(up) + error(kFfn + f)) +
                                            std::abs(gate) * error(kFfn + f) +
                                            1.01 * in * std::abs(gate * up);
                    down_squares.at(cell, f) += gate * up * gate * up;
                }
                const Matrix y = reference::product(hidden, down);
                for (std::int64_t c = 0; c < kHidden; ++c) {
                    truth.at(r, c) += choice.weights[slot] * y.at(0, c);
                    double error = 0;
                    for (std::int64_t f = 0; f < kFfn; ++f)
                        error += (hidden_error.at(0, f) + 100 * 0x1p-24 * std::abs(hidden.at(0, f))) *
                                 std::abs(down.at(c, f));
                    allowed.at(r, c) += choice.weights[slot] * error +
                                        32 * 0x1p-24 * std::abs(truth.at(r, c)) +
                                        act * 1.01 * std::abs(choice.weights[slot] * y.at(0, c));
                }
            }
        }
        EXPECT_EQ(pass.counts, counts);
        Matrix out(truth.rows, truth.cols);
        const auto* values = reinterpret_cast<const float*>(pass.out.data());
        std::copy(values, values + out.values.size(), out.values.begin());
        expect_near(out, truth, [&](auto r, auto c) { return allowed.at(r, c) + 1e-6; });
        for (std::int64_t cell = 0; cell < input_squares.rows; ++cell) {
            for (std::int64_t c = 0; c < kHidden; ++c)
                ASSERT_NEAR(pass.input_squares[static_cast<std::size_t>(cell * kHidden + c)],
                            input_squares.at(cell, c), 60 * 0x1p-24 * input_squares.at(cell, c));
            // Products of rounded operands: errors of gate and up, each about 3 roundings, doubled by the
            // square.
            for (std::int64_t f = 0; f < kFfn; ++f)
                ASSERT_NEAR(pass.down_squares[static_cast<std::size_t>(cell * kFfn + f)],
                            down_squares.at(cell, f),
                            20 * std::max(in, 0x1p-20) * (down_squares.at(cell, f) + 1));
        }
        if (HasFailure()) return;
    }
}

TEST_P(ExpertsTest, NeitherBatchesNorCallsMatter) {
    const Rows rows{3, 50};
    const Network n = make(rows.count());
    const RouteArgs args = route_args(Gating::Softmax, true);
    const Pass whole = run(n, args, rows, 0, {kExperts});
    const Pass batched = run(n, args, rows, 0, {1, 4, 2});
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
