// Matrix products and the gated activation behind one.
#include <cmath>

#include "backend/backend_case.h"
#include "core/error.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using ProductsTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, ProductsTest, testing::ValuesIn(all_cases()), name_of);

struct Shape {
    std::int64_t rows;
    std::int64_t n_in;
    std::int64_t n_out;
};
const std::vector<Shape> kShapes{{1, 64, 48}, {7, 32, 5}, {100, 96, 200}, {130, 257, 63}, {512, 512, 384}};

TEST_P(ProductsTest, LinearWithBiasAndAccumulation) {
    for (const Shape& shape : kShapes)
        for (const bool wide : {true, false})
            for (const bool with_bias : {false, true})
                for (const bool accumulate : {false, true}) {
                    SCOPED_TRACE(testing::Message()
                                 << shape.rows << " x " << shape.n_in << " x " << shape.n_out << " f32 out "
                                 << wide << " bias " << with_bias << " added " << accumulate);
                    const DType operand = backend().operand_dtype();
                    const DType type = wide ? DType::F32 : backend().activation_dtype();
                    const Matrix x = random(shape.rows, shape.n_in, operand);
                    const Matrix w = random(shape.n_out, shape.n_in, operand);
                    const Matrix before = random(shape.rows, shape.n_out, type);
                    const std::vector<float> bias = random_floats(shape.n_out, 10);
                    const Stored input = store(x, operand);
                    const Stored out = store(before, type, 8);
                    const MatrixPtr weights = prepare(w);
                    const BufferPtr device_bias = store(bias);
                    backend().linear(input.view, *weights, with_bias ? device_bias->f32() : nullptr,
                                     accumulate, out.view);
                    Matrix truth = reference::product(x, w);
                    Matrix magnitudes = reference::product_of_magnitudes(x, w);
                    for (std::int64_t r = 0; r < truth.rows; ++r)
                        for (std::int64_t c = 0; c < truth.cols; ++c) {
                            const double more = (with_bias ? bias[static_cast<std::size_t>(c)] : 0.0) +
                                                (accumulate ? before.at(r, c) : 0.0);
                            truth.at(r, c) += more;
                            magnitudes.at(r, c) += std::abs(more) + (with_bias ? 30 : 0);
                        }
                    // f32 additions in any order, then one rounding to the result's type.
                    const double steps = (static_cast<double>(shape.n_in) + 4) * 0x1p-24;
                    expect_near(fetch(out.view), truth, [&](auto r, auto c) {
                        return steps * magnitudes.at(r, c) + epsilon(type) * 1.01 * std::abs(truth.at(r, c));
                    });
                    if (HasFailure()) return;
                }
}

TEST_P(ProductsTest, ARowDoesNotDependOnTheRowsBesideIt) {
    const DType operand = backend().operand_dtype();
    for (const Shape& shape : {Shape{700, 1024, 640}, Shape{700, 2048, 96}})
        for (const DType type : {DType::F32, backend().activation_dtype()}) {
            const Stored input = store(random(shape.rows, shape.n_in, operand), operand);
            const MatrixPtr w = prepare(random(shape.n_out, shape.n_in, operand));
            const Stored whole = blank(shape.rows, shape.n_out, type);
            backend().linear(input.view, *w, nullptr, false, whole.view);
            const std::vector<std::byte> expected = fetch_bytes(whole.view);
            std::int64_t first = 0;
            const Stored parts = blank(shape.rows, shape.n_out, type);
            for (const std::int64_t n : {1, 16, 100, 128, 3, 452}) {
                backend().linear(input.view.row_range(first, n), *w, nullptr, false,
                                 parts.view.row_range(first, n));
                first += n;
            }
            ASSERT_EQ(first, shape.rows);
            EXPECT_TRUE(fetch_bytes(parts.view) == expected);
        }
}

TEST_P(ProductsTest, RowsBeyondTheViewStay) {
    const DType operand = backend().operand_dtype();
    const Stored input = store(random(10, 64, operand), operand);
    const MatrixPtr w = prepare(random(32, 64, operand));
    const Matrix before = random(20, 32, DType::F32);
    const Stored out = store(before, DType::F32);
    backend().linear(input.view, *w, nullptr, false, out.view.row_range(5, 10));
    const Matrix after = fetch(out.view);
    for (std::int64_t r = 0; r < 20; ++r) {
        if (r >= 5 && r < 15) continue;
        for (std::int64_t c = 0; c < 32; ++c) ASSERT_EQ(after.at(r, c), before.at(r, c));
    }
}

/// Operand and result as columns of wider rows: heads of a block-diagonal product.
TEST_P(ProductsTest, ColumnsOfWiderRows) {
    const DType operand = backend().operand_dtype();
    constexpr std::int64_t kHeads = 3, kIn = 64, kOut = 48;
    for (const std::int64_t rows : {7, 128, 300}) {
        const Matrix x = random(rows, kHeads * kIn, operand);
        const Stored input = store(x, operand);
        const Stored out = blank(rows, kHeads * kOut, DType::F32);
        const Rows whole{1, rows};
        const Stored gated = blank(rows, kHeads * kOut / 2, DType::F32);
        for (std::int64_t h = 0; h < kHeads; ++h) {
            const Matrix w = random(kOut, kIn, operand);
            const MatrixPtr weights = prepare_halves(w);
            Matrix own(rows, kIn);
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < kIn; ++c) own.at(r, c) = x.at(r, h * kIn + c);
            const View from = input.view.col_range(h * kIn, kIn);
            backend().linear(from, *weights, nullptr, false, out.view.col_range(h * kOut, kOut));
            Produced to;
            to.plain = gated.view.col_range(h * kOut / 2, kOut / 2);
            backend().gated_linear(from, *weights, nullptr, {}, whole, to);
            const Matrix truth = reference::product(own, w);
            const Matrix magnitudes = reference::product_of_magnitudes(own, w);
            expect_near(fetch(out.view.col_range(h * kOut, kOut)), truth,
                        [&](auto r, auto c) { return (kIn + 4) * 0x1p-24 * magnitudes.at(r, c); });
            // The same rows, dense.
            const Stored dense = store(own, operand);
            const Stored expected = blank(rows, kOut / 2, DType::F32);
            to.plain = expected.view;
            backend().gated_linear(dense.view, *weights, nullptr, {}, whole, to);
            const Matrix gates = fetch(expected.view);
            expect_near(fetch(gated.view.col_range(h * kOut / 2, kOut / 2)), gates, [&](auto r, auto c) {
                return 1e-5 + 4 * activation_epsilon() * std::abs(gates.at(r, c));
            });
            if (HasFailure()) return;
        }
    }
}

TEST_P(ProductsTest, RefusesWhatDoesNotFit) {
    const MatrixPtr w = prepare(random(6, 8, backend().operand_dtype()));
    const Stored x = blank(4, 9, backend().operand_dtype());
    const Stored out = blank(4, 6, DType::F32);
    try {
        backend().linear(x.view, *w, nullptr, false, out.view);
        ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "product: [4, 9] with [6, 8] into [4, 6]");
    }
}

std::vector<GateFunction> gate_functions() {
    std::vector<GateFunction> functions{{GateKind::ClampedBefore, Activation::Silu, 0.7f, 0},
                                        {GateKind::ClampedAfter, Activation::Silu, 0.4f, 0},
                                        {GateKind::SwigluOai, Activation::Silu, 0.9f, 1.702f},
                                        {GateKind::Situ, Activation::Silu, 1.5f, 2}};
    for (const Activation activation :
         {Activation::Silu, Activation::Gelu, Activation::Identity, Activation::Relu, Activation::Relu2,
          Activation::Sigmoid, Activation::Tanh, Activation::Exp, Activation::Softplus,
          Activation::Log2OnePlusExp2})
        functions.push_back({GateKind::Activated, activation, 0, 0});
    return functions;
}

TEST_P(ProductsTest, GatedActivations) {
    struct GatedShape {
        Rows rows;
        std::int64_t n_in;
        std::int64_t ffn;
        bool one_source;
    };
    for (const GateFunction& function : gate_functions())
        for (const GatedShape& shape : {GatedShape{{3, 1}, 64, 96, false},
                                        {{2, 100}, 96, 130, true},
                                        {{2, 40}, 32, 700, true},
                                        {{3, 128}, 256, 320, false}})
            for (const bool with_bias : {false, true}) {
                SCOPED_TRACE(testing::Message()
                             << "kind " << static_cast<int>(function.kind) << " "
                             << static_cast<int>(function.activation) << ", " << shape.rows.chunk_tokens
                             << " x " << shape.ffn << " bias " << with_bias);
                const DType operand = backend().operand_dtype();
                const Matrix x = random(shape.rows.count(), shape.n_in, operand);
                const Matrix w = random(2 * shape.ffn, shape.n_in, operand, 0.1);
                const std::vector<float> bias = random_floats(2 * shape.ffn);
                const Stored input = store(x, operand);
                const MatrixPtr weights = shape.one_source ? prepare(w) : prepare_halves(w);
                const BufferPtr device_bias = store(bias);
                const Matrix y = check_produced(
                    [&](Rows rows, std::int64_t first, const Produced& out) {
                        backend().gated_linear(input.view.row_range(first, rows.count()), *weights,
                                               with_bias ? device_bias->f32() : nullptr, function, rows, out);
                    },
                    shape.rows, shape.ffn);
                const Matrix products = reference::product(x, w);
                const Matrix magnitudes = reference::product_of_magnitudes(x, w);
                const double steps = (static_cast<double>(shape.n_in) + 16) * 0x1p-24;
                Matrix truth(y.rows, y.cols);
                Matrix allowed(y.rows, y.cols);
                for (std::int64_t r = 0; r < y.rows; ++r)
                    for (std::int64_t c = 0; c < y.cols; ++c) {
                        const auto value = [&](std::int64_t col) {
                            return products.at(r, col) +
                                   (with_bias ? bias[static_cast<std::size_t>(col)] : 0.0);
                        };
                        // gate and up are rounded to the activations' type.
                        const auto error = [&](std::int64_t col) {
                            return activation_epsilon() * 1.01 * std::abs(products.at(r, col)) +
                                   steps * (magnitudes.at(r, col) + std::abs(value(col)));
                        };
                        const double g = value(c);
                        const double u = value(c + shape.ffn);
                        truth.at(r, c) = reference::gate(function, g, u);
                        // GELU is rounded to halves before and after, as llama.cpp's table does.
                        const double half =
                            function.kind == GateKind::Activated && function.activation == Activation::Gelu
                                ? 0x1p-11
                                : 0;
                        allowed.at(r, c) =
                            reference::gate_error(function, g, u, error(c) + half * std::abs(g),
                                                  error(c + shape.ffn)) +
                            (half * 1.1 + 1e-6) * std::abs(truth.at(r, c));
                    }
                expect_near(y, truth, [&](auto r, auto c) { return allowed.at(r, c); });
                if (HasFailure()) return;
            }
}

}  // namespace
}  // namespace assay::backend
