#include "calibrate/rounding.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

#include "core/error.h"
#include "quant/encode.h"
#include "recipe/guide.h"
#include "support/fixture.h"

namespace assay::calibrate {
namespace {

using quant::TypeId;

constexpr const char* kName = "blk.0.ffn_up_exps.weight";  // [8 experts, 384, 256] f32

class RoundingTest : public testing::Test {
  protected:
    RoundingTest() : fixture_("llama-moe"), file_(gguf::File::open(fixture_.model())), threads_(2) {}

    const gguf::Tensor& tensor() const { return file_.get(kName); }
    /// Rows of the tensor as a pass would ask for them.
    backend::WeightSource rows(std::uint64_t first, std::uint64_t n) const {
        return {tensor().type,
                file_.data(tensor()).subspan(first * tensor().row_bytes(), n * tensor().row_bytes()),
                static_cast<std::int64_t>(tensor().ne[0]), static_cast<std::int64_t>(n), 1};
    }
    /// Each expert with columns of its own weight.
    imatrix::Matrix matrix() const {
        imatrix::Matrix matrix;
        imatrix::Entry& entry = matrix.entries[kName];
        entry.width = tensor().ne[0];
        entry.counts.assign(tensor().ne[2], 10);
        for (std::uint64_t e = 0; e < tensor().ne[2]; ++e)
            for (std::uint64_t j = 0; j < tensor().ne[0]; ++j)
                entry.sum_sq.push_back(static_cast<double>(1 + (j * (e + 3)) % 97));
        return matrix;
    }

    test::Fixture fixture_;
    gguf::File file_;
    ThreadPool threads_;
};

TEST_F(RoundingTest, EachExpertIsGuidedByItsOwnInputs) {
    const imatrix::Matrix guide = matrix();
    Rounder rounder(file_, guide, threads_);
    Rounding rounding({kName}, TypeId::Q4_K, rounder);
    constexpr std::uint64_t kExpert = 5;
    const std::uint64_t first = kExpert * tensor().ne[1] + 7;
    const backend::WeightSource plain = rows(first, 20);
    const backend::WeightSource rounded = rounding.replace(kName, static_cast<std::int64_t>(first), plain);
    EXPECT_EQ(rounded.type->id, TypeId::Q4_K);
    EXPECT_EQ(rounded.n_in, plain.n_in);
    EXPECT_EQ(rounded.n_out, plain.n_out);
    const recipe::InputEnergy energy(tensor(), &guide.entries.at(kName));
    std::vector<std::byte> expected(quant::row_bytes(*rounded.type, tensor().ne[0]));
    ASSERT_EQ(rounded.bytes.size(), 20 * expected.size());
    bool guided = false;
    std::vector<float> memory;
    for (std::size_t r = 0; r < 20; ++r) {
        const auto* row = reinterpret_cast<const float*>(plain.bytes.data()) + r * tensor().ne[0];
        const auto found = rounded.bytes.subspan(r * expected.size(), expected.size());
        quant::find_encoder(TypeId::Q4_K)(
            row, tensor().ne[0],
            recipe::quantiser_guide(TypeId::Q4_K, {row, tensor().ne[0]}, energy.of_row(first + r), memory),
            expected.data());
        EXPECT_TRUE(std::ranges::equal(found, expected)) << "row " << r;
        quant::find_encoder(TypeId::Q4_K)(
            row, tensor().ne[0], recipe::quantiser_guide(TypeId::Q4_K, {row, tensor().ne[0]}, {}, memory),
            expected.data());
        guided = guided || !std::ranges::equal(found, expected);
    }
    EXPECT_TRUE(guided);
}

TEST_F(RoundingTest, ATypeThatTheTensorHasAlreadyChangesNothing) {
    const imatrix::Matrix none;
    Rounder rounder(file_, none, threads_);
    Rounding rounding({kName}, TypeId::F32, rounder);
    EXPECT_TRUE(rounding.replaces(kName));
    EXPECT_FALSE(rounding.replaces("blk.1.ffn_up_exps.weight"));
    const backend::WeightSource plain = rows(0, 4);
    EXPECT_EQ(rounding.replace(kName, 0, plain).bytes.data(), plain.bytes.data());
}

TEST_F(RoundingTest, RefusesWeightsThatAreNoNumbersAndMatricesOfAnotherShape) {
    const imatrix::Matrix none;
    Rounder rounder(file_, none, threads_);
    std::vector<float> row(tensor().ne[0], 1.0f);
    row[3] = std::numeric_limits<float>::quiet_NaN();
    backend::WeightSource broken = rows(0, 1);
    broken.bytes = std::as_bytes(std::span(row));
    EXPECT_THROW(rounder.round(kName, 0, broken, quant::type_info(TypeId::Q4_0)), Error);
    imatrix::Matrix other = matrix();
    other.entries[kName].sum_sq.pop_back();
    Rounder misled(file_, other, threads_);
    EXPECT_THROW(misled.round(kName, 0, rows(0, 1), quant::type_info(TypeId::Q4_0)), Error);
}

}  // namespace
}  // namespace assay::calibrate
