// bf16 operands on processors without bf16 products, against the products of one that has them.
#include <cmath>
#include <gtest/gtest.h>
#include <random>

#include "backend/cpu/cpu_backend.h"

namespace assay::backend::cpu {
namespace {

std::vector<float> random_floats(std::int64_t n, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& v : values) v = normal(random);
    return values;
}

View view_of(const BufferPtr& buffer, DType type, std::int64_t rows, std::int64_t cols) {
    return {buffer->data(), type, rows, cols, cols};
}

std::vector<float> floats_of(const BufferPtr& buffer, std::int64_t n) {
    return {buffer->f32(), buffer->f32() + n};
}

/// A level without bf16 products, and that of the machine, which has them.
class WidenedTest : public testing::TestWithParam<Isa> {
  protected:
    void SetUp() override {
        if (!has_bf16_products(detect_isa())) GTEST_SKIP() << "this processor has no bf16 products";
    }
    /// The widened result and the other of an operation, `n` floats each.
    template <typename Operation>
    std::pair<std::vector<float>, std::vector<float>> both(std::int64_t n, Operation operation) {
        ThreadPool pool(2);
        CpuBackend real(detect_isa(), DType::Bf16, 128, pool), widened(GetParam(), DType::Bf16, 128, pool);
        return {floats_of(operation(widened), n), floats_of(operation(real), n)};
    }
};

TEST_P(WidenedTest, ProductsAgree) {
    constexpr std::int64_t kRows = 70, kIn = 40, kOut = 700;
    const std::vector<float> x = random_floats(kRows * kIn, 1), w = random_floats(kOut * kIn, 2);
    const auto [widened, real] = both(kRows * kOut, [&](CpuBackend& backend) {
        const WeightSource source{&quant::type_info(quant::TypeId::F32), std::as_bytes(std::span(w)), kIn,
                                  kOut, 1};
        const MatrixPtr weights = backend.prepare(std::span(&source, 1));
        const BufferPtr values = backend.upload(x), operand = backend.allocate(kRows * kIn * 2);
        BufferPtr out = backend.allocate(kRows * kOut * 4);
        const View input = view_of(operand, DType::Bf16, kRows, kIn);
        backend.norm(view_of(values, DType::F32, kRows, kIn), {}, {1, kRows}, {input, {}, {}});
        backend.linear(input, *weights, nullptr, false, view_of(out, DType::F32, kRows, kOut));
        return out;
    });
    // The operands are the same bf16 values, which may be 2^-8 larger than the floats here; each side adds
    // their products in f32 in its own order. A weight that was not rounded would move a sum by some 2^-9 /
    // sqrt(kIn) of the magnitudes, dozens of times as much.
    for (std::int64_t r = 0; r < kRows; ++r)
        for (std::int64_t c = 0; c < kOut; ++c) {
            double magnitudes = 0;
            for (std::int64_t i = 0; i < kIn; ++i)
                magnitudes += std::abs(static_cast<double>(x[static_cast<std::size_t>(r * kIn + i)]) *
                                       static_cast<double>(w[static_cast<std::size_t>(c * kIn + i)]));
            const auto at = static_cast<std::size_t>(r * kOut + c);
            ASSERT_NEAR(widened[at], real[at], 1.01 * magnitudes * 2 * (kIn + 4) * 0x1p-24) << r << ", " << c;
        }
}

TEST_P(WidenedTest, AttentionAgrees) {
    constexpr std::int64_t kTokens = 100, kHeads = 2, kDim = 64, kCols = 3 * kHeads * kDim;
    const std::vector<float> qkv = random_floats(kTokens * kCols, 3);
    const auto [widened, real] = both(kTokens * kHeads * kDim, [&](CpuBackend& backend) {
        const BufferPtr input = backend.upload(qkv);
        BufferPtr out = backend.allocate(kTokens * kHeads * kDim * 4);
        const View view = view_of(input, DType::F32, kTokens, kCols);
        AttentionArgs args;
        args.q = view.col_range(0, kHeads * kDim);
        args.k = view.col_range(kHeads * kDim, kHeads * kDim);
        args.v = view.col_range(2 * kHeads * kDim, kHeads * kDim);
        args.n_heads = args.n_kv_heads = kHeads;
        args.head_dim = args.value_dim = kDim;
        args.scale = 0.125f;
        backend.attention(args, {1, kTokens}, {{}, view_of(out, DType::F32, kTokens, kHeads * kDim), {}});
        return out;
    });
    // Outputs are means of values below 5. Probabilities are sums of kDim terms, exponentials and a quotient
    // in f32 and differ by some 2^-18 of themselves; where one lies that close to the border between two bf16
    // values, a step of 2^-7 apart, it goes another way on the other side: once in 2^-7 / 2^-18 = 2048
    // probabilities, once in 2048 / kTokens = 20 outputs. All others differ by 5 * 2^-18; a side that did not
    // round, by 2^-9 / 10.
    int elsewhere = 0;
    for (std::size_t i = 0; i < widened.size(); ++i) {
        ASSERT_NEAR(widened[i], real[i], 5 * 0x1p-7);
        elsewhere += std::abs(widened[i] - real[i]) > 5 * 0x1p-18 ? 1 : 0;
    }
    EXPECT_LT(elsewhere, std::ssize(widened) / 20);
}

INSTANTIATE_TEST_SUITE_P(Levels, WidenedTest, testing::Values(Isa::Scalar, Isa::Avx2, Isa::Avx512),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace assay::backend::cpu
