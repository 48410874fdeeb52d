// Programs interpreted in double against another program's results, and the engine against the interpreter.
#include "oracle/oracle.h"

#include <gtest/gtest.h>

#include "calibrate/run_fixture.h"
#include "calibrate/text_chunks.h"
#include "gguf/writer.h"
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

/// Products of layers and blocks, and of an output projection that is not the embedding.
test::Matrix collected(test::Matrix matrix) {
    std::erase_if(matrix, [](const auto& entry) {
        return !entry.first.starts_with("blk.") && entry.first != "output.weight";
    });
    return matrix;
}

/// The oracle over the text of a run.
struct Interpreted {
    gguf::File file;
    model::Program program;
    Oracle oracle;

    explicit Interpreted(const calibrate::Options& options)
        : file(gguf::File::open(options.model)),
          program(model::build(file, {options.n_ctx, options.nextn})),
          oracle(program, file) {
        calibrate::Recorder recorder;
        const calibrate::Chunks chunks = calibrate::tokenize(file, options, recorder);
        for (std::int64_t chunk = 0; chunk < chunks.n_chunks(); ++chunk)
            oracle.run(chunks.input_range(chunk, 1), chunks.target_range(chunk, 1));
    }
};

void expect_engine_agrees(const calibrate::Options& options) {
    const Interpreted interpreted(options);
    calibrate::Recorder recorder;
    const calibrate::Result result = calibrate::run(options, recorder);
    EXPECT_LE(test::perplexity_error(recorder.perplexities, interpreted.oracle.running_perplexity()),
              kPerplexityTolerance);
    expect_same(test::read_matrix(options.output), collected(interpreted.oracle.matrix()));
    ASSERT_EQ(result.nextn.size(), interpreted.program.nextn.size());
    for (std::size_t block = 0; block < result.nextn.size(); ++block)
        EXPECT_NEAR(result.nextn[block].estimate->perplexity / interpreted.oracle.nextn_perplexity(block), 1,
                    kPerplexityTolerance);
}

TEST_P(OracleOf, AgreesWithThePeerAndTheEngine) {
    const test::Fixture fixture(GetParam());
    const calibrate::Options options = calibrate::options_for(fixture);
    const Interpreted interpreted(options);
    EXPECT_LE(test::perplexity_error(interpreted.oracle.running_perplexity(), fixture.running_perplexity()),
              kPerplexityTolerance);
    expect_same(collected(interpreted.oracle.matrix()), fixture.matrix());
    expect_engine_agrees(options);
}

// A choice among keys is not followed, so that chunks are short enough to see all of them.
TEST(Oracle, AgreesWithTheEngineOnQwen4exp) {
    const test::Fixture fixture("qwen4exp-moe");
    calibrate::Options options = calibrate::options_for(fixture);
    options.n_ctx = 24;
    expect_engine_agrees(options);
}

// No other program's results are at hand for a second block, which sees the token after the first one's and
// what that hands on.
TEST(SeveralNextNBlocks, AreInterpretedAlike) {
    const test::Fixture fixture("glm4moe-nextn-moe");
    calibrate::Options options = calibrate::options_for(fixture);
    const gguf::File file = gguf::File::open(options.model);
    gguf::Metadata metadata = file.metadata();
    metadata.set("glm4moe.block_count", gguf::u32(5));
    metadata.set("glm4moe.nextn_predict_layers", gguf::u32(2));
    gguf::Writer writer;
    for (const auto& [key, value] : metadata.values()) writer.add(key, value);
    const auto add = [&](const gguf::Tensor& tensor, const std::string& name) {
        writer.add_tensor(name, {tensor.ne.begin(), tensor.ne.end()}, tensor.type->id, file.data(tensor));
    };
    for (const gguf::Tensor& tensor : file.tensors()) add(tensor, tensor.name);
    const std::string block = "blk.3.", head = "nextn.shared_head_head.weight";
    for (const gguf::Tensor& tensor : file.tensors())  // the second takes the model's output matrix
        if (tensor.name.starts_with(block) && !tensor.name.ends_with(head))
            add(tensor, "blk.4." + tensor.name.substr(block.size()));
    options.model = fixture.folder() / "two.gguf";
    write_file_atomically(options.model, writer.bytes());
    EXPECT_EQ(model::build(gguf::File::open(options.model), {options.n_ctx, true}).nextn.size(), 2u);
    expect_engine_agrees(options);
    EXPECT_EQ(test::read_matrix(options.output).at("blk.4.attn_q.weight").counts.front(),
              fixture.run().n_chunks * (fixture.run().n_ctx - 2));
}

// The reference has one chunk expert for each expert. Where two share one, a token that chose both goes
// through it twice.
TEST(ChunkExperts, AreSharedByNeighbours) {
    const test::Fixture fixture("grovemoe-moe");
    calibrate::Options options = calibrate::options_for(fixture);
    const gguf::File file = gguf::File::open(options.model);
    gguf::Metadata metadata = file.metadata();
    metadata.set("grovemoe.experts_per_group", gguf::u32(2));
    gguf::Writer writer;
    for (const auto& [key, value] : metadata.values()) writer.add(key, value);
    for (const gguf::Tensor& tensor : file.tensors()) {
        const std::uint64_t part = tensor.name.find("chexps") == std::string::npos ? 1 : 2;
        std::vector<std::uint64_t> ne(tensor.ne.begin(), tensor.ne.end());
        ne[2] /= part;
        writer.add_tensor(tensor.name, ne, tensor.type->id,
                          file.data(tensor).first(tensor.size_bytes / part));
    }
    options.model = fixture.folder() / "shared.gguf";
    write_file_atomically(options.model, writer.bytes());
    expect_engine_agrees(options);
    const test::Matrix matrix = test::read_matrix(options.output);
    const auto& every = matrix.at("blk.0.ffn_up_exps.weight").counts;
    const auto& shared = matrix.at("blk.0.ffn_up_chexps.weight").counts;
    ASSERT_EQ(2 * shared.size(), every.size());
    for (std::size_t e = 0; e < shared.size(); ++e)
        EXPECT_EQ(shared[e], every[2 * e] + every[2 * e + 1]) << e;
}

INSTANTIATE_TEST_SUITE_P(Families, OracleOf, testing::ValuesIn(test::family_fixture_names()),
                         [](const auto& param) { return test::test_name(param.param); });

}  // namespace
}  // namespace assay::oracle
