// Every architecture against another program's results.
#include <gtest/gtest.h>
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

// Operands with 8 bits of precision (2^-9 relative error each) over a few products in a row.
constexpr double kBf16PerplexityTolerance = 5e-3;
// A rounded hidden state sends about one token in a hundred to another expert, whose weights are unrelated
// here.
constexpr double kBf16ExpertTolerance = 2e-2;

/// The name of a fixture and of a device.
class Architecture : public testing::TestWithParam<std::tuple<std::string, std::string>> {
  protected:
    void SetUp() override {
        if (device() == "cuda" && backend::cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
        options_ = options_for(fixture_);
        options_.device = device();
    }
    static std::string name() { return std::get<0>(GetParam()); }
    static std::string device() { return std::get<1>(GetParam()); }

    test::Fixture fixture_{name()};
    Options options_;
    Recorder recorder_;
};

TEST_P(Architecture, AgreesWithThePeerInF32) {
    run(options_, recorder_);
    EXPECT_LE(test::perplexity_error(recorder_.perplexities, fixture_.running_perplexity()),
              kPerplexityTolerance);
    const auto problems = test::differences(test::read_matrix(options_.output), fixture_.matrix(),
                                            {.values = kMatrixTolerance, .counts = kCountTolerance});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

TEST_P(Architecture, StaysCloseInBf16) {
    options_.precision = backend::Precision::Bf16;
    run(options_, recorder_);
    EXPECT_LE(test::perplexity_error(recorder_.perplexities, fixture_.running_perplexity()),
              name().ends_with("-moe") ? kBf16ExpertTolerance : kBf16PerplexityTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, Architecture,
                         testing::Combine(testing::ValuesIn(test::fixture_names()),
                                          testing::Values("cpu", "cuda")),
                         [](const auto& param) {
                             std::string result = std::get<0>(param.param) + "_" + std::get<1>(param.param);
                             for (char& c : result)
                                 if (c == '-') c = '_';
                             return result;
                         });

class InstructionSet : public testing::TestWithParam<Isa> {};

TEST_P(InstructionSet, AgreesWithThePeer) {
    if (GetParam() > detect_isa()) GTEST_SKIP() << "this processor has not got it";
    const test::Fixture fixture("llama-moe");
    Options options = options_for(fixture);
    options.isa = GetParam();
    for (const auto& [precision, tolerance] : {std::pair{backend::Precision::F32, kPerplexityTolerance},
                                               {backend::Precision::Bf16, kBf16ExpertTolerance}}) {
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
