// Operations on rows: norms, observing, residual addition, rotation, dot products.
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

TEST_P(RowsTest, NormsProduceOperandAndSums) {
    for (const NormKind kind : {NormKind::None, NormKind::Rms, NormKind::Layer})
        for (const Shape& shape : kShapes) {
            SCOPED_TRACE(testing::Message()
                         << "norm " << static_cast<int>(kind) << ", " << shape.rows.n_chunks << " x "
                         << shape.rows.chunk_tokens << " x " << shape.cols);
            const Matrix x = random(shape.rows.count(), shape.cols, DType::F32, 3);
            reference::Norm norm{kind, random_floats(shape.cols, 0.3, 1), {}, 1e-5};
            if (kind == NormKind::Layer) norm.bias = random_floats(shape.cols);
            if (kind == NormKind::None) norm.weight.clear();
            const Norm device_norm = stored(norm);
            const Stored input =
                store(x, DType::F32, shape.cols % 2 == 0 ? 4 : 3);  // aligned rows and others
            const Matrix y = check_produced(
                [&](Rows rows, std::int64_t first, const Produced& out) {
                    backend().norm(input.view.row_range(first, rows.count()), device_norm, rows, out);
                },
                shape.rows, shape.cols);
            const Matrix truth = reference::norm(x, norm);
            // The mean square is a sum of cols terms, halved by the root; a mean is off by cols * eps * |x|.
            const double steps = (static_cast<double>(shape.cols) + 16) * 0x1p-24;
            expect_near(y, truth, [&](auto r, auto c) { return steps * (std::abs(truth.at(r, c)) + 4); });
        }
}

TEST_P(RowsTest, ObservesWhatIsThere) {
    const Rows rows{3, 20};
    for (const DType dtype : {DType::F32, backend().activation_dtype()}) {
        const Matrix x = random(rows.count(), 130, dtype);
        const Stored input = store(x, dtype, 2);
        const Matrix y = check_produced(
            [&](Rows some, std::int64_t first, const Produced& out) {
                backend().observe(input.view.row_range(first, some.count()), some, out);
            },
            rows, 130);
        expect_near(y, x, [](auto, auto) { return 0.0; });
    }
}

TEST_P(RowsTest, AddsToTheResidual) {
    for (const NormKind kind : {NormKind::None, NormKind::Rms}) {
        const Matrix x = random(37, 300, DType::F32);
        const Matrix before = random(37, 300, DType::F32);
        const reference::Norm norm{kind, random_floats(300, 0.3, 1), {}, 1e-6};
        const Stored input = store(x, DType::F32);
        const Stored residual = store(before, DType::F32, 5);
        backend().add(input.view, kind == NormKind::None ? Norm{} : stored(norm), 1, residual.view);
        const Matrix added = kind == NormKind::None ? x : reference::norm(x, norm);
        Matrix truth = before;
        for (std::size_t i = 0; i < truth.values.size(); ++i) truth.values[i] += added.values[i];
        expect_near(fetch(residual.view), truth, [&](auto r, auto c) {
            return 400 * 0x1p-24 * (std::abs(added.at(r, c)) + std::abs(before.at(r, c)));
        });
    }
}

struct RotateShape {
    std::int64_t n_heads;
    std::int64_t head_dim;
    std::int64_t n_rot;
};

TEST_P(RowsTest, RotatesHeads) {
    const Rows rows{2, 100};
    const DType dtype = backend().activation_dtype();
    for (const bool halves : {false, true})
        for (const NormKind kind : {NormKind::None, NormKind::Rms})
            for (const RotateShape shape :
                 {RotateShape{4, 64, 64}, {3, 128, 128}, {2, 80, 20}, {2, 256, 64}, {2, 6, 0}}) {
                SCOPED_TRACE(testing::Message() << shape.head_dim << " turned " << shape.n_rot << " halves "
                                                << halves << " norm " << static_cast<int>(kind));
                const std::int64_t cols = shape.n_heads * shape.head_dim;
                const Matrix x = random(rows.count(), cols + 16, dtype);
                reference::Norm norm{kind, random_floats(shape.head_dim, 0.3, 1), {}, 1e-6};
                reference::Rope rope{halves, {}, 1.25};
                for (std::int64_t p = 0; p < shape.n_rot / 2; ++p)
                    rope.frequencies.push_back(
                        std::pow(10000.0f, -2.0f * static_cast<float>(p) / static_cast<float>(shape.n_rot)));
                const Stored all = store(x, dtype);
                const View heads = all.view.col_range(8, cols);
                const BufferPtr frequencies = store(rope.frequencies);
                Rope device_rope;
                device_rope.pairing = halves ? Pairing::Halves : Pairing::Adjacent;
                device_rope.frequencies = frequencies->f32();
                device_rope.n_rot = shape.n_rot;
                device_rope.magnitude = 1.25f;
                Norm device_norm = kind == NormKind::None ? Norm{} : stored(norm);
                device_norm.n_slices = shape.n_heads;
                device_norm.repeats = true;
                backend().rotate_heads(heads, shape.n_heads, device_norm, false, device_rope, rows);
                Matrix before(rows.count(), cols);
                for (std::int64_t r = 0; r < before.rows; ++r)
                    for (std::int64_t c = 0; c < cols; ++c) before.at(r, c) = x.at(r, c + 8);
                const Matrix truth =
                    reference::rotate_heads(before, shape.n_heads, norm, rope, rows.chunk_tokens);
                // An angle is a position times a frequency, each exact to an f32 step; a pair is of size
                // about 5.
                const double turn = static_cast<double>(rows.chunk_tokens) * 0x1p-23 * 5;
                const Matrix after = fetch(all.view);
                Matrix turned(rows.count(), cols);
                for (std::int64_t r = 0; r < after.rows; ++r)
                    for (std::int64_t c = 0; c < after.cols; ++c) {
                        if (c >= 8 && c < 8 + cols)
                            turned.at(r, c - 8) = after.at(r, c);
                        else
                            ASSERT_EQ(after.at(r, c), x.at(r, c)) << "a neighbour was written";
                    }
                expect_near(turned, truth, [&](auto r, auto c) {
                    return turn + (activation_epsilon() + 64 * 0x1p-24) * std::abs(truth.at(r, c)) * 1.01 +
                           1e-5;
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
