// Operations on rows: norms, observing, residual addition, dot products.
#include <cmath>

#include "backend/backend_case.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using RowsTest = BackendTest;
INSTANTIATE_TEST_SUITE_P(Backends, RowsTest, testing::ValuesIn(all_cases()), name_of);

/// Chunks of one token, odd lengths, whole tiles; rows shorter and longer than any block of threads.
struct Shape {
    Rows rows;
    std::int64_t cols;
};
const std::vector<Shape> kShapes{{{3, 1}, 64},     {{3, 16}, 33},   {{2, 100}, 257},
                                 {{3, 128}, 1536}, {{2, 17}, 4096}, {{2, 5}, 14336}};

constexpr NormKind kNorms[]{NormKind::None, NormKind::Rms, NormKind::Layer, NormKind::L2, NormKind::L2Max};

TEST_P(RowsTest, NormsProduceOperandAndSums) {
    struct Slices {
        std::int64_t n;
        bool repeats;
        DType dtype;
    };
    for (const NormKind kind : kNorms)
        for (const Shape& shape : kShapes)
            for (const Slices slices : {Slices{1, false, DType::F32},
                                        {1, false, backend().activation_dtype()},
                                        {3, true, DType::F32},
                                        {8, false, DType::F32},
                                        {8, true, backend().activation_dtype()}}) {
                if (shape.cols % slices.n != 0) continue;
                SCOPED_TRACE(testing::Message()
                             << "norm " << static_cast<int>(kind) << ", " << shape.rows.n_chunks << " x "
                             << shape.rows.chunk_tokens << " x " << shape.cols << " in " << slices.n);
                const std::int64_t length = shape.cols / slices.n;
                const std::int64_t own = slices.repeats ? length : shape.cols;
                Matrix x = random(shape.rows.count(), shape.cols, slices.dtype, 3);
                // Nothing but the least length keeps this row a number.
                if (kind == NormKind::L2Max)
                    for (std::int64_t c = 0; c < x.cols; ++c) x.at(0, c) = 0;
                reference::Norm norm{kind, random_floats(own, 0.3, 1), {}, 1e-5, slices.n, slices.repeats};
                if (kind == NormKind::Layer) norm.bias = random_floats(own);
                if (kind == NormKind::None) norm.weight.clear();
                const Norm device_norm = stored(norm);
                const Stored input =
                    store(x, slices.dtype, shape.cols % 2 == 0 ? 4 : 3);  // aligned rows and others
                const Matrix y = check_produced(
                    [&](Rows rows, std::int64_t first, const Produced& out) {
                        backend().norm(input.view.row_range(first, rows.count()), device_norm, rows, out);
                    },
                    shape.rows, shape.cols);
                const Matrix truth = reference::norm(x, norm);
                // The sum of squares has `length` terms, and the root halves its error; a mean is off by
                // length * eps * |x|.
                const double steps = (static_cast<double>(length) + 16) * 0x1p-24;
                const double mean = kind == NormKind::Layer ? 4 : 0;
                expect_near(y, truth,
                            [&](auto r, auto c) { return steps * (std::abs(truth.at(r, c)) + mean); });
                if (HasFailure()) return;
            }
}

TEST_P(RowsTest, ObservesWhatIsThere) {
    const Rows rows{3, 20};
    // The wider as the heads of a large latent attention leave it: 128 of 512, and some columns.
    for (const std::int64_t cols : {130, 128 * 512 + 40})
        for (const DType dtype : {DType::F32, backend().activation_dtype()}) {
            const Matrix x = random(rows.count(), cols, dtype);
            const Stored input = store(x, dtype, 2);
            const Matrix y = check_produced(
                [&](Rows some, std::int64_t first, const Produced& out) {
                    backend().observe(input.view.row_range(first, some.count()), some, out);
                },
                rows, cols);
            expect_near(y, x, [](auto, auto) { return 0.0; });
        }
}

TEST_P(RowsTest, AddsToTheResidual) {
    for (const NormKind kind : kNorms)
        for (const float scale : {1.0f, 0.3f})
            for (const std::int64_t n_slices : {1, 6}) {
                const Matrix x = random(37, 300, DType::F32);
                const Matrix before = random(37, 300, DType::F32);
                reference::Norm norm{kind, random_floats(300, 0.3, 1), {}, 1e-6, n_slices, false};
                if (kind == NormKind::None) norm.weight.clear();
                const Stored input = store(x, DType::F32);
                const Stored residual = store(before, DType::F32, 5);
                backend().add(input.view, stored(norm), scale, residual.view);
                const Matrix added = reference::norm(x, norm);
                Matrix truth = before;
                for (std::size_t i = 0; i < truth.values.size(); ++i)
                    truth.values[i] += static_cast<double>(scale) * added.values[i];
                expect_near(fetch(residual.view), truth, [&](auto r, auto c) {
                    return 400 * 0x1p-24 * (std::abs(added.at(r, c)) + std::abs(before.at(r, c)) + 1);
                });
            }
}

TEST_P(RowsTest, DotsOfRows) {
    const Matrix a = random(33, 700, DType::F32);
    const Matrix b = random(33, 700, DType::F32);
    const Stored left = store(a, DType::F32, 4);
    const Stored right = store(b, DType::F32);
    const BufferPtr out = backend().allocate(33 * 3 * sizeof(double));
    backend().row_products(left.view, right.view, reinterpret_cast<double*>(out->data()));
    std::vector<double> dots(33 * 3);
    backend().download(out->data(), std::as_writable_bytes(std::span(dots)));
    for (std::int64_t r = 0; r < 33; ++r) {
        double aa = 0, bb = 0, ab = 0;
        for (std::int64_t c = 0; c < 700; ++c) {
            aa += a.at(r, c) * a.at(r, c);
            bb += b.at(r, c) * b.at(r, c);
            ab += a.at(r, c) * b.at(r, c);
        }
        // Sums may be kept in f32 for short runs, never for whole rows.
        const auto i = static_cast<std::size_t>(3 * r);
        EXPECT_NEAR(dots[i], aa, aa * 1e-6);
        EXPECT_NEAR(dots[i + 1], bb, bb * 1e-6);
        EXPECT_NEAR(dots[i + 2], ab, std::sqrt(aa * bb) * 1e-6);
    }
}

}  // namespace
}  // namespace assay::backend
