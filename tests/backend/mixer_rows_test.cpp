// Convolutions, mixed streams, and numbers of slices.
#include <cmath>

#include "backend/mixers_case.h"

namespace assay::backend {
namespace {

using reference::Matrix;

using MixerRowsTest = MixersCase;
INSTANTIATE_TEST_SUITE_P(Backends, MixerRowsTest, testing::ValuesIn(all_cases()), name_of);

TEST_P(MixerRowsTest, Convolves) {
    struct Shape {
        Rows rows;
        std::int64_t cols;
        std::int64_t kernel;
        Activation activation;
        bool bias;
        std::int64_t dilation = 1;
    };
    for (const Shape& shape : {Shape{{3, 1}, 5, 4, Activation::Silu, true},
                               {{2, 130}, 600, 4, Activation::Silu, true},
                               {{2, 67}, 40, 3, Activation::Identity, false},
                               {{3, 20}, 37, 2, Activation::Identity, true},
                               {{2, 10}, 64, 16, Activation::Gelu, false},
                               {{2, 9}, 7, 1, Activation::Softplus, false},
                               {{2, 130}, 600, 4, Activation::Silu, false, 3},
                               {{3, 20}, 37, 3, Activation::Identity, true, 2},
                               {{2, 5}, 8, 4, Activation::Silu, true, 9}}) {
        SCOPED_TRACE(testing::Message() << shape.kernel << " taps, " << shape.dilation << " apart, "
                                        << shape.cols << " columns");
        const Matrix x = random(shape.rows.count(), shape.cols, DType::F32);
        const reference::Convolve args{random_floats(shape.cols * shape.kernel),
                                       shape.bias ? random_floats(shape.cols) : std::vector<float>{},
                                       shape.kernel, shape.activation, shape.dilation};
        const View input = kept(x, 3);
        ConvolveArgs convolution;
        convolution.weight = kept(args.weight);
        if (shape.bias) convolution.bias = kept(args.bias);
        convolution.kernel = shape.kernel;
        convolution.dilation = shape.dilation;
        convolution.activation = shape.activation;
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                convolution.x = input.row_range(first, some.count());
                backend().convolve(convolution, some, out);
            },
            shape.rows, shape.cols);
        expect_bounded(found, reference::convolve(x, args, shape.rows.chunk_tokens));
        if (HasFailure()) return;
    }
}

TEST_P(MixerRowsTest, MixesStreams) {
    struct Shape {
        std::int64_t n_in;
        std::int64_t n_out;
        std::int64_t width;
    };
    const Rows rows{2, 9};
    for (const Shape& shape : {Shape{4, 1, 700}, {4, 4, 33}, {1, 8, 64}, {11, 1, 40}, {8, 8, 5}}) {
        SCOPED_TRACE(testing::Message() << shape.n_in << " to " << shape.n_out);
        const Matrix x = random(rows.count(), shape.n_in * shape.width, DType::F32);
        const Matrix coefficients = random(rows.count(), shape.n_out * shape.n_in, DType::F32);
        const View input = kept(x, 2);
        const View factors = kept(coefficients, 1);
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                backend().mix(input.row_range(first, some.count()), factors.row_range(first, some.count()),
                              shape.n_in, shape.n_out, false, out);
            },
            rows, shape.n_out * shape.width);
        expect_bounded(found, reference::mix(x, coefficients, shape.n_in, shape.n_out, {}));
        const Matrix before = random(rows.count(), shape.n_out * shape.width, DType::F32);
        const View sum = kept(before, 3);
        backend().mix(input, factors, shape.n_in, shape.n_out, true, sum);
        expect_bounded(fetch(sum), reference::mix(x, coefficients, shape.n_in, shape.n_out, before));
        if (HasFailure()) return;
    }
}

struct Slices {
    std::int64_t n_slices;
    std::int64_t width;
};
const std::vector<Slices> kSlices{{1, 2}, {3, 7}, {4, 64}, {2, 300}, {1, 5000}};

TEST_P(MixerRowsTest, ReducesSlices) {
    const Rows rows{2, 5};
    for (const Reduction kind : {Reduction::Sum, Reduction::Mean, Reduction::Length, Reduction::Deviation})
        for (const Slices& slices : kSlices) {
            SCOPED_TRACE(testing::Message() << "kind " << static_cast<int>(kind) << ", " << slices.n_slices
                                            << " slices of " << slices.width);
            Matrix x = random(rows.count(), slices.n_slices * slices.width, DType::F32);
            for (double& v : x.values) v = static_cast<double>(static_cast<float>(v + 0.5));
            const View input = kept(x, 3);
            const Matrix found = check_rows(
                [&](Rows some, std::int64_t first, View out) {
                    backend().reduce(input.row_range(first, some.count()), kind, slices.n_slices, out);
                },
                rows, slices.n_slices);
            expect_bounded(found, reference::reduce(x, kind, slices.n_slices));
            if (HasFailure()) return;
        }
}

TEST_P(MixerRowsTest, SoftmaxOfSlices) {
    const Rows rows{2, 5};
    for (const Slices& slices : kSlices) {
        SCOPED_TRACE(testing::Message() << slices.n_slices << " slices of " << slices.width);
        const Matrix x = random(rows.count(), slices.n_slices * slices.width, DType::F32, 3);
        const View input = kept(x, 3);
        const Matrix found = check_rows(
            [&](Rows some, std::int64_t first, View out) {
                backend().softmax(input.row_range(first, some.count()), slices.n_slices, out);
            },
            rows, slices.n_slices * slices.width);
        expect_bounded(found, reference::softmax(x, slices.n_slices));
        if (HasFailure()) return;
    }
}

TEST_P(MixerRowsTest, BalancesStreams) {
    const Rows rows{2, 70};
    for (std::int64_t n = 1; n <= 8; ++n)
        for (const std::int64_t iterations : {1, 2, 20}) {
            SCOPED_TRACE(testing::Message() << n << " streams, " << iterations << " iterations");
            const Matrix x = random(rows.count(), n * n, DType::F32, 2);
            const View input = kept(x, 1);
            const Matrix found = check_rows(
                [&](Rows some, std::int64_t first, View out) {
                    backend().sinkhorn(input.row_range(first, some.count()), n, iterations, 1e-3f, out);
                },
                rows, n * n);
            expect_bounded(found, reference::sinkhorn(x, n, iterations, static_cast<double>(1e-3f)));
            if (HasFailure()) return;
        }
}

TEST(ConvolveThreads, LeaveTheSameBits) {
    const auto convolve = [](Backend& backend, const auto& numbers, View out) {
        const View x{const_cast<float*>(numbers(out.rows * out.cols)), DType::F32, out.rows, out.cols,
                     out.cols};
        const ConvolveArgs args{
            .x = x, .weight = numbers(4 * out.cols), .kernel = 4, .activation = Activation::Silu};
        backend.convolve(args, {2, out.rows / 2}, out);
    };
    const auto results = on_threads({1, 2, 3}, 300, 600, convolve);
    EXPECT_EQ(results[1], results[0]);
    EXPECT_EQ(results[2], results[0]);
    EXPECT_FALSE(std::isnan(results[0].back()));
}

}  // namespace
}  // namespace assay::backend
