// Programs interpreted in double against another program's results, and the engine against the interpreter.
#include "oracle/oracle.h"

#include <gtest/gtest.h>

#include "calibrate/chunks.h"
#include "calibrate/run_fixture.h"
#include "model/registry.h"

namespace assay::oracle {
namespace {

// Both sides that the oracle meets compute in f32, with a unit of u = 2^-24. A product of n terms is off by
// about sqrt(n) u of its terms' norm, here n <= 512: 1.4e-6. About forty products lie one behind another
// (eight or so in each of a few layers), whose errors add in squares: 9e-6 of a row, twice that of its
// energy. A norm or a softmax stretches them; a factor of ten is granted for that. The loss is a mean over
// 378 rows, whose errors are independent: a tenth of it.
constexpr double kMatrixTolerance = 2e-4;
constexpr double kPerplexityTolerance = 2e-5;
constexpr double kCountTolerance = 0.01;  // a near-tie of experts

class OracleOf : public testing::TestWithParam<std::string> {};

void expect_same(const test::Matrix& mine, const test::Matrix& reference) {
    const auto problems =
        test::differences(mine, reference, {.values = kMatrixTolerance, .counts = kCountTolerance});
    EXPECT_TRUE(problems.empty()) << problems.front();
}

/// Products of layers, and of an output projection that is not the embedding.
test::Matrix collected(test::Matrix matrix) {
    std::erase_if(matrix, [](const auto& entry) {
        return !entry.first.starts_with("blk.") && entry.first != "output.weight";
    });
    return matrix;
}

TEST_P(OracleOf, AgreesWithThePeerAndTheEngine) {
    const test::Fixture fixture(GetParam());
    const calibrate::Options options = calibrate::options_for(fixture);
    calibrate::Recorder recorder;
    const gguf::File file = gguf::File::open(options.model);
    const model::Program program = model::build(file, {options.n_ctx});
    const calibrate::Chunks chunks = calibrate::tokenize(file, options, recorder);
    Oracle oracle(program, file);
    for (std::int64_t chunk = 0; chunk < chunks.n_chunks; ++chunk)
        oracle.run(chunks.input_range(chunk, 1), chunks.target_range(chunk, 1));
    const test::Matrix matrix = collected(oracle.matrix());
    EXPECT_LE(test::perplexity_error(oracle.running_perplexity(), fixture.running_perplexity()),
              kPerplexityTolerance);
    expect_same(matrix, fixture.matrix());

    calibrate::run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, oracle.running_perplexity()),
              kPerplexityTolerance);
    expect_same(test::read_matrix(options.output), matrix);
}

// A choice among keys is not followed, so that chunks are short enough to see all of them.
TEST(Oracle, AgreesWithTheEngineOnQwen4exp) {
    const test::Fixture fixture("qwen4exp-moe");
    calibrate::Options options = calibrate::options_for(fixture);
    options.n_ctx = 24;
    calibrate::Recorder recorder;
    const gguf::File file = gguf::File::open(options.model);
    const model::Program program = model::build(file, {options.n_ctx});
    const calibrate::Chunks chunks = calibrate::tokenize(file, options, recorder);
    Oracle oracle(program, file);
    for (std::int64_t chunk = 0; chunk < chunks.n_chunks; ++chunk)
        oracle.run(chunks.input_range(chunk, 1), chunks.target_range(chunk, 1));
    calibrate::run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, oracle.running_perplexity()),
              kPerplexityTolerance);
    expect_same(test::read_matrix(options.output), collected(oracle.matrix()));
}

INSTANTIATE_TEST_SUITE_P(Families, OracleOf, testing::ValuesIn(test::family_fixture_names()),
                         [](const auto& param) { return test::test_name(param.param); });

}  // namespace
}  // namespace assay::oracle
