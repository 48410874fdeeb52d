// Every architecture against another program's results.
#include <gtest/gtest.h>
#include <optional>
#include <tuple>

#include "backend/cuda_backend.h"
#include "calibrate/run_fixture.h"
#include "core/cpu.h"
#include "support/compare.h"

namespace assay::calibrate {
namespace {

// The references come from F32 weights and F32 arithmetic with sums in another order; the peer agrees with
// itself to 1e-5 when its batching changes, a float64 computation agrees with it to 5e-6 in perplexity.
constexpr double kPerplexityTolerance = 1e-4;
constexpr double kMatrixTolerance = 1e-3;
constexpr double kCountTolerance = 0.01;  ///< near-ties of routing may fall the other way

// Operands with 8 bits of precision (2^-9 relative error each) over a few products in a row; a rounded hidden
// state sends about one token in a hundred to another expert, whose weights are unrelated here.
constexpr double kBf16PerplexityTolerance = 2e-2;
constexpr double kBf16EnergyTolerance = 7e-2;  ///< the largest seen: 5.05e-2, qwen3next-moe, one entry
constexpr double kBf16CountTolerance = 0.1;

/// The name of a fixture and of a device.
class Architecture : public testing::TestWithParam<std::tuple<std::string, std::string>> {
  protected:
    void SetUp() override {
        if (device() == "cuda" && backend::cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
        fixture_.emplace(std::get<0>(GetParam()));
        options_ = options_for(*fixture_);
        options_.device = device();
    }
    static std::string device() { return std::get<1>(GetParam()); }
    test::Matrix run_with(backend::Precision precision, Recorder& recorder) {
        options_.precision = precision;
        run(options_, recorder);
        return test::read_matrix(options_.output);
    }

    std::optional<test::Fixture> fixture_;
    Options options_;
};
class InF32 : public Architecture {};
class InBf16 : public Architecture {};

TEST_P(InF32, AgreesWithThePeer) {
    Recorder recorder;
    const test::Matrix matrix = run_with(backend::Precision::F32, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, fixture_->running_perplexity()),
              kPerplexityTolerance);
    const auto problems = test::differences(matrix, fixture_->matrix(),
                                            {.values = kMatrixTolerance, .counts = kCountTolerance});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

TEST_P(InBf16, StaysCloseToF32) {
    Recorder exact, rounded;
    const test::Matrix reference = run_with(backend::Precision::F32, exact);
    const test::Matrix matrix = run_with(backend::Precision::Bf16, rounded);
    EXPECT_NE(rounded.perplexities, exact.perplexities);
    EXPECT_LE(test::perplexity_error(rounded.perplexities, exact.perplexities), kBf16PerplexityTolerance);
    const auto problems = test::differences(
        matrix, reference,
        {.values = kBf16EnergyTolerance, .counts = kBf16CountTolerance, .measure = test::Measure::Energy});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

std::string name_of(const testing::TestParamInfo<Architecture::ParamType>& info) {
    return test::test_name(std::get<0>(info.param) + "_" + std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, InF32,
                         testing::Combine(testing::ValuesIn(test::fixture_names()),
                                          testing::Values("cpu", "cuda")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Families, InBf16,
                         testing::Combine(testing::ValuesIn(test::family_fixture_names()),
                                          testing::Values("cpu", "cuda")),
                         name_of);

class InstructionSet : public testing::TestWithParam<Isa> {};

TEST_P(InstructionSet, AgreesWithThePeer) {
    if (GetParam() > detect_isa()) GTEST_SKIP() << "this processor has not got it";
    const test::Fixture fixture("llama-moe");
    Options options = options_for(fixture);
    options.isa = GetParam();
    for (const auto& [precision, tolerance] : {std::pair{backend::Precision::F32, kPerplexityTolerance},
                                               {backend::Precision::Bf16, kBf16PerplexityTolerance}}) {
        Recorder recorder;
        options.precision = precision;
        run(options, recorder);
        EXPECT_LE(test::perplexity_error(recorder.perplexities, fixture.running_perplexity()), tolerance);
    }
}

// The highest first: within one process the library stays at the first level that it is given.
INSTANTIATE_TEST_SUITE_P(All, InstructionSet,
                         testing::Values(Isa::Amx, Isa::Avx512Bf16, Isa::Avx512, Isa::Avx2, Isa::Scalar),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace assay::calibrate
