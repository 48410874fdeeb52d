#include "recipe/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "core/error.h"
#include "quant/encode.h"
#include "recipe/guide.h"
#include "recipe/model.h"

namespace assay::recipe {
namespace {

using quant::TypeId;
using testing::ElementsAre;

const std::vector<TypeId> kTypes = {TypeId::Q8_0, TypeId::Q4_0, TypeId::Q4_K, TypeId::Q2_K};

const std::vector<TypeId> kSmallTypes = {TypeId::Q4_0};

float weight(const gguf::File& file, const gguf::Tensor& tensor, std::uint64_t i) {
    std::uint16_t half = 0;
    std::memcpy(&half, file.data(tensor).data() + 2 * i, 2);
    return half_to_float(half);
}

/// The formula of the header in the plainest form: one row at a time, mean squares straight from the entry.
double direct(const gguf::File& file, const gguf::Tensor& tensor, const imatrix::Entry& e, TypeId type,
              bool energy) {
    const std::uint64_t n = tensor.ne[0];
    double uses = 0.0;
    for (const double count : e.counts) uses += count;
    double sum = 0.0;
    for (std::uint64_t row = 0; row < tensor.rows(); ++row) {
        std::vector<float> x(n), importance(n), guide, rounded(n);
        const std::uint64_t matrix = row / tensor.ne[1];
        for (std::uint64_t j = 0; j < n; ++j) {
            x[j] = weight(file, tensor, row * n + j);
            importance[j] = static_cast<float>(e.sum_sq[matrix * n + j]);
        }
        std::vector<std::byte> bytes(quant::row_bytes(quant::type_info(type), n));
        quant::find_encoder(type)(x.data(), n, quantiser_guide(type, x, importance, guide), bytes.data());
        quant::type_info(type).decode(bytes.data(), n, rounded.data());
        for (std::uint64_t j = 0; j < n; ++j) {
            const double d = energy ? x[j] : static_cast<double>(x[j]) - rounded[j];
            sum += e.sum_sq[matrix * n + j] / uses * d * d;
        }
    }
    return sum;
}

TEST(Errors, EqualTheDirectComputation) {
    const TinyModel model({{"blk.0.attn_q.weight", {256, 21}}, {"blk.0.ffn_up_exps.weight", {256, 5, 3}}});
    const std::vector<imatrix::Entry> entries = {entry(256, {40}), entry(256, {10, 70, 3})};
    ThreadPool threads(2);
    for (std::size_t i = 0; i < 2; ++i) {
        const gguf::Tensor& tensor = model.file().tensors()[i];
        const TensorErrors errors = measure(model.file(), tensor, &entries[i], kTypes, 0, threads);
        // Importance is handed over in float, which may tip a search: a hundredth, where rounding to the next
        // type costs a factor of four.
        const double energy = direct(model.file(), tensor, entries[i], TypeId::Q8_0, true);
        EXPECT_NEAR(errors.energy, energy, 1e-6 * energy);
        for (std::size_t t = 0; t < kTypes.size(); ++t) {
            const double expected = direct(model.file(), tensor, entries[i], kTypes[t], false);
            EXPECT_NEAR(errors.candidates[t].error, expected, 0.01 * expected) << i << " type " << t;
            EXPECT_EQ(errors.candidates[t].type, kTypes[t]);
            EXPECT_GT(errors.candidates[t].error, 0.0);
        }
        EXPECT_TRUE(errors.has_data);
        EXPECT_EQ(errors.rows_measured, tensor.rows());
    }
    EXPECT_EQ(
        measure(model.file(), model.file().tensors()[0], &entries[0], kTypes, 0, threads).candidates[1].bytes,
        256 / 32 * 18 * 21u);
}

// Logits that all rise together are the same to a softmax.
TEST(Errors, CentredEnergyLeavesOutWhatAllRowsShare) {
    const TinyModel model({{"output.weight", {32, 64}}, {"blk.0.ffn_up_exps.weight", {32, 8, 2}}});
    const imatrix::Entry e = entry(32, {40});
    ThreadPool threads(1);
    const gguf::Tensor& tensor = model.file().tensors()[0];
    double expected = 0.0;
    for (std::uint64_t j = 0; j < 32; ++j) {
        double sum = 0.0, squares = 0.0;
        for (std::uint64_t row = 0; row < 64; ++row) {
            const double w = weight(model.file(), tensor, row * 32 + j);
            sum += w;
            squares += w * w;
        }
        expected += e.sum_sq[j] / 40 * (squares - sum * sum / 64);
    }
    const TensorErrors errors = measure(model.file(), tensor, &e, kSmallTypes, 0, threads);
    EXPECT_NEAR(errors.centred_energy, expected, 1e-6 * expected);
    EXPECT_LT(errors.centred_energy, errors.energy);
    EXPECT_GT(errors.relative_to_centred(errors.candidates[0]), errors.relative(errors.candidates[0]));
    const TensorErrors experts =
        measure(model.file(), model.file().tensors()[1], nullptr, kSmallTypes, 0, threads);
    EXPECT_EQ(experts.centred_energy, experts.energy);
}

TEST(Errors, DoNotDependOnTheNumberOfThreads) {
    const TinyModel model({{"blk.0.attn_q.weight", {256, 61}}});
    const imatrix::Entry e = entry(256, {40});
    ThreadPool one(1), four(4);
    const gguf::Tensor& tensor = model.file().tensors()[0];
    const TensorErrors a = measure(model.file(), tensor, &e, kTypes, 0, one);
    const TensorErrors b = measure(model.file(), tensor, &e, kTypes, 0, four);
    for (std::size_t t = 0; t < kTypes.size(); ++t) EXPECT_EQ(a.candidates[t].error, b.candidates[t].error);
}

TEST(Errors, OfASampleStandForTheWhole) {
    const TinyModel model({{"blk.0.attn_q.weight", {256, 400}}});
    const imatrix::Entry e = entry(256, {40});
    ThreadPool threads(1);
    const gguf::Tensor& tensor = model.file().tensors()[0];
    const TensorErrors all = measure(model.file(), tensor, &e, kTypes, 0, threads);
    const TensorErrors some = measure(model.file(), tensor, &e, kTypes, 64, threads);
    EXPECT_EQ(some.rows_measured, 64u);
    // A row's error spreads by about a quarter of its mean here, 64 rows' mean by 3%; four times that.
    for (std::size_t t = 0; t < kTypes.size(); ++t)
        EXPECT_NEAR(some.candidates[t].error / all.candidates[t].error, 1.0, 0.12);
}

TEST(Errors, AreZeroForTheTypeOfTheFile) {
    const TinyModel model({{"blk.0.attn_q.weight", {48, 5}}});
    ThreadPool threads(1);
    const std::vector<TypeId> types = {TypeId::F16};
    const TensorErrors errors = measure(model.file(), model.file().tensors()[0], nullptr, types, 0, threads);
    EXPECT_EQ(errors.candidates[0].error, 0.0);
    EXPECT_FALSE(errors.has_data);
    EXPECT_GT(errors.energy, 0.0);
}

TEST(Errors, ZeroWeightsHaveNoErrorAndNoNan) {
    const TinyModel model({{"blk.0.attn_q.weight", {256, 3}, TypeId::F16, 0.0}});
    ThreadPool threads(1);
    const TensorErrors errors = measure(model.file(), model.file().tensors()[0], nullptr, kTypes, 0, threads);
    for (const Candidate& candidate : errors.candidates) {
        EXPECT_EQ(candidate.error, 0.0);
        EXPECT_EQ(errors.relative(candidate), 0.0);
    }
}

TEST(Errors, NameTheTensorWhoseWeightIsNotFinite) {
    const TinyModel model({{"blk.0.attn_q.weight",
                            {256, 3},
                            TypeId::F32,
                            static_cast<double>(std::numeric_limits<float>::infinity())}});
    ThreadPool threads(2);
    try {
        measure(model.file(), model.file().tensors()[0], nullptr, kTypes, 0, threads);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Numeric);
        EXPECT_EQ(error.where(), "blk.0.attn_q.weight");
    }
}

TEST(Errors, RefuseAMatrixOfAnotherShape) {
    const TinyModel model({{"blk.0.attn_q.weight", {256, 3}}});
    const imatrix::Entry e = entry(128, {40});
    ThreadPool threads(1);
    EXPECT_THROW(measure(model.file(), model.file().tensors()[0], &e, kTypes, 0, threads), Error);
}

TEST(InputEnergy, AnUnusedExpertCountsAsOneUse) {
    const TinyModel model({{"blk.0.ffn_up_exps.weight", {64, 2, 3}}});
    imatrix::Entry e;
    e.width = 64;
    e.counts = {3, 0, 1};
    for (const double sum : {6.0, 0.0, 2.0}) e.sum_sq.insert(e.sum_sq.end(), 64, sum);
    const InputEnergy inputs(model.file().tensors()[0], &e);
    const auto natural = [&](std::uint64_t row) { return inputs.of_row(row)[5] * inputs.unit(); };
    // Four uses in all, each of mean square 2: three quarters, one for the unused, a quarter.
    EXPECT_NEAR(natural(0), 1.5, 1e-6);
    EXPECT_NEAR(natural(2), 0.5, 1e-6);
    EXPECT_NEAR(natural(5), 0.5, 1e-6);
}

TEST(InputEnergy, HeadsOfATensorOfTwoDimensionsHaveTheirOwnRows) {
    const TinyModel model({{"blk.0.attn_output_a.weight", {64, 6}}});
    imatrix::Entry e;
    e.width = 128;
    e.counts = {4};
    for (const double sum : {8.0, 2.0}) e.sum_sq.insert(e.sum_sq.end(), 64, sum);
    const InputEnergy inputs(model.file().tensors()[0], &e);
    const auto natural = [&](std::uint64_t row) { return inputs.of_row(row)[5] * inputs.unit(); };
    EXPECT_NEAR(natural(2), 2, 1e-6);
    EXPECT_NEAR(natural(3), 0.5, 1e-6);
    e.sum_sq.resize(4 * 64);  // six rows are not four heads'
    EXPECT_THROW(InputEnergy(model.file().tensors()[0], &e), Error);
}

TEST(SampledRows, AreSpacedEvenlyAndReachEveryMatrix) {
    EXPECT_THAT(sampled_rows(10, 1, 5), ElementsAre(1, 3, 5, 7, 9));
    EXPECT_THAT(sampled_rows(3, 1, 5), ElementsAre(0, 1, 2));
    EXPECT_THAT(sampled_rows(4, 1, 0), ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(sampled_rows(0, 1, 5), testing::IsEmpty());
    const auto rows = sampled_rows(4 * 100, 4, 1);
    ASSERT_EQ(rows.size(), 8u);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(rows[i] / 100, i / 2);
}

}  // namespace
}  // namespace assay::recipe
