// Every architecture against another program's results.
#include <gtest/gtest.h>

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

class Architecture : public testing::TestWithParam<std::string> {};

TEST_P(Architecture, AgreesWithThePeerInF32) {
    const test::Fixture fixture(GetParam());
    Recorder recorder;
    const Options options = options_for(fixture);
    run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, fixture.running_perplexity()),
              kPerplexityTolerance);
    const auto problems = test::differences(test::read_matrix(options.output), fixture.matrix(),
                                            {.values = kMatrixTolerance, .counts = kCountTolerance});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

TEST_P(Architecture, StaysCloseInBf16) {
    if (detect_isa() < Isa::Avx512Bf16) GTEST_SKIP() << "no bf16 products on this processor";
    const test::Fixture fixture(GetParam());
    Recorder recorder;
    Options options = options_for(fixture);
    options.precision = backend::Precision::Bf16;
    run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, fixture.running_perplexity()),
              GetParam().ends_with("-moe") ? kBf16ExpertTolerance : kBf16PerplexityTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, Architecture, testing::ValuesIn(test::fixture_names()), [](const auto& name) {
    std::string result = name.param;
    for (char& c : result)
        if (c == '-') c = '_';
    return result;
});

class InstructionSet : public testing::TestWithParam<Isa> {};

TEST_P(InstructionSet, AgreesWithThePeer) {
    if (GetParam() > detect_isa()) GTEST_SKIP() << "this processor has not got it";
    const test::Fixture fixture("llama-moe");
    Recorder recorder;
    Options options = options_for(fixture);
    options.isa = GetParam();
    run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, fixture.running_perplexity()),
              kPerplexityTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, InstructionSet,
                         testing::Values(Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx),
                         [](const auto& isa) { return std::string(to_string(isa.param)); });

}  // namespace
}  // namespace assay::calibrate
