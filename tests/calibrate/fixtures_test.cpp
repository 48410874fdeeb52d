// Every architecture against another program's results.
#include <gtest/gtest.h>
#include <optional>
#include <tuple>

#include "backend/cuda_backend.h"
#include "calibrate/run_fixture.h"
#include "core/cpu.h"
#include "gguf/file.h"
#include "support/compare.h"

namespace assay::calibrate {
namespace {

// The references come from F32 weights and F32 arithmetic with sums in another order; the peer agrees with
// itself to 1e-5 when its batching changes, a float64 computation agrees with it to 5e-6 in perplexity.
constexpr double kPerplexityTolerance = 1e-4;
constexpr double kMatrixTolerance = 1e-3;
constexpr double kCountTolerance = 0.01;  ///< near-ties of routing may fall the other way

// bf16 keeps 8 bits, so that an operand and a weight are off by 2^-9 / sqrt(3) = 1.1e-3 each in the mean
// square, and a product's result by 1.6e-3 of its norm. About forty products lie one behind another, whose
// errors add in squares: 1e-2 of a row, twice that of its energy. Loss follows the logits, which are off like
// a row.
constexpr double kBf16EnergyTolerance = 2e-2;
constexpr double kBf16PerplexityTolerance = 1e-2;

// Where experts are chosen, a row off by 1e-2 has logits off by 1e-2 of their spread, the difference of two
// by 1.4e-2, while the second and third of eight lie 0.38 of it apart on average: one row in seventy goes to
// another expert, in each layer. Of the 192 rows of an expert that is 2.8 moves, whose four standard
// deviations are 7; the chunks' first rows, all the same, move as one, 6 more. In four layers 6 in a hundred
// rows see another expert, whose weights are unrelated here; such a row changes by no more than its own
// energy.
constexpr double kMovedEnergyTolerance = 6e-2 + kBf16EnergyTolerance;
constexpr double kMovedPerplexityTolerance = 2e-2;
constexpr double kMovedCountTolerance = 13.0 / 192;

/// The name of a fixture and of a device.
class Architecture : public testing::TestWithParam<std::tuple<std::string, std::string>> {
  protected:
    void SetUp() override {
        const std::string& name = std::get<0>(GetParam());
        if (device() == "cuda" && backend::cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
        // Their indexers have one head, whose products are rectified: many keys tie at zero, and devices
        // choose others among them.
        for (const char* tied : {"deepseek32-moe", "dots3note-moe", "glm-dsa-moe"})
            if (device() == "cuda" && name == tied) GTEST_SKIP() << "keys that tie exactly";
        fixture_.emplace(name);
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
class InBf16 : public Architecture {
  protected:
    std::int64_t n_experts() const {
        return gguf::File::open(options_.model).metadata().find_integer(key("expert_count")).value_or(0);
    }
    void use_all_experts() {
        const std::int64_t n = n_experts();
        if (n == 0) return;
        for (const auto& [name, value] : {std::pair{"expert_used_count", n},
                                          {"expert_group_count", std::int64_t{1}},
                                          {"expert_group_used_count", std::int64_t{1}}})
            options_.metadata.emplace_back(key(name), gguf::u32(static_cast<std::uint32_t>(value)));
    }
    void expect_close(const test::Tolerance& tolerance, double perplexity_tolerance) {
        Recorder exact, rounded;
        const test::Matrix reference = run_with(backend::Precision::F32, exact);
        const test::Matrix matrix = run_with(backend::Precision::Bf16, rounded);
        EXPECT_NE(rounded.perplexities, exact.perplexities);
        EXPECT_LE(test::perplexity_error(rounded.perplexities, exact.perplexities), perplexity_tolerance);
        const auto problems = test::differences(matrix, reference, tolerance);
        EXPECT_TRUE(problems.empty()) << problems.front();
    }

  private:
    std::string key(const char* name) const {
        const gguf::File file = gguf::File::open(options_.model);
        return std::string(file.metadata().get_string("general.architecture")) + "." + name;
    }
};

TEST_P(InF32, AgreesWithThePeer) {
    Recorder recorder;
    test::Matrix matrix = run_with(backend::Precision::F32, recorder);
    // RWKV-6's is beyond the reference, which multiplies one row at a time there.
    std::erase_if(matrix, [&](const auto& entry) {
        return entry.first.ends_with(".time_mix_w2.weight") && !fixture_->matrix().contains(entry.first);
    });
    EXPECT_LE(test::perplexity_error(recorder.perplexities, fixture_->running_perplexity()),
              kPerplexityTolerance);
    const auto problems = test::differences(matrix, fixture_->matrix(),
                                            {.values = kMatrixTolerance, .counts = kCountTolerance});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

TEST_P(InBf16, StaysCloseToF32WhereRoundingDecidesNothing) {
    use_all_experts();
    expect_close({.values = kBf16EnergyTolerance, .counts = 0, .measure = test::Measure::Energy},
                 kBf16PerplexityTolerance);
}

TEST_P(InBf16, StaysCloseToF32WhereExpertsAreChosen) {
    if (n_experts() == 0) GTEST_SKIP() << "no experts";
    expect_close(
        {.values = kMovedEnergyTolerance, .counts = kMovedCountTolerance, .measure = test::Measure::Energy},
        kMovedPerplexityTolerance);
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
                                               {backend::Precision::Bf16, kMovedPerplexityTolerance}}) {
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
