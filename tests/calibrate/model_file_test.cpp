// Models with the blocks of a draft file behind their layers.
#include "calibrate/model_file.h"

#include <fstream>
#include <gtest/gtest.h>

#include "calibrate/extra.h"
#include "calibrate/run_fixture.h"
#include "core/error.h"
#include "gguf/tensor_name.h"
#include "gguf/writer.h"

namespace assay::calibrate {
namespace {

constexpr std::int64_t kLayers = 3;  // and one block behind them
const std::string kBlockCount = "glm4moe.block_count", kAhead = "glm4moe.nextn_predict_layers";

bool is_of_block(const gguf::Tensor& tensor) { return gguf::block_of(tensor.name) == kLayers; }
bool is_of_trunk(const gguf::Tensor& tensor) { return !is_of_block(tensor); }

class DraftFile : public testing::Test {
  protected:
    using Wanted = bool (*)(const gguf::Tensor&);

    /// These tensors of the model, and its metadata with some changed.
    std::filesystem::path part(const std::string& name, Wanted wanted, const gguf::Overrides& changed) {
        gguf::Metadata metadata = whole_.metadata();
        for (const auto& [key, value] : changed) metadata.set(key, value);
        gguf::Writer writer;
        for (const auto& [key, value] : metadata.values()) writer.add(key, value);
        for (const gguf::Tensor& tensor : whole_.tensors())
            if (wanted(tensor))
                writer.add_tensor(tensor.name, {tensor.ne.begin(), tensor.ne.end()}, tensor.type->id,
                                  whole_.data(tensor));
        const auto bytes = writer.bytes();
        const auto path = fixture_.folder() / (name + ".gguf");
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return path;
    }
    std::filesystem::path trunk() {
        return part("trunk", is_of_trunk, {{kBlockCount, gguf::u32(kLayers)}, {kAhead, gguf::u32(0)}});
    }
    std::filesystem::path draft(const gguf::Overrides& changed = {}) {
        return part("draft", is_of_block, changed);
    }

    static std::string refusal(const std::filesystem::path& model, const std::filesystem::path& draft) {
        try {
            open_model(model, {}, draft);
        } catch (const Error& error) {
            return error.message();
        }
        return "";
    }

    const test::Fixture fixture_{"glm4moe-nextn-moe"};
    const gguf::File whole_ = gguf::File::open(fixture_.model());
};

TEST_F(DraftFile, GivesWhatTheWholeFileGives) {
    Options options = options_for(fixture_);
    options.max_chunks = 2;
    Recorder recorder;
    const Result expected = run(options, recorder);
    EXPECT_EQ(expected.matrix.n_layer_nextn, 1u);
    options.model = trunk();
    options.draft = draft();
    options.nextn = false;
    Recorder with_draft;
    const Result found = run(options, with_draft);
    EXPECT_EQ(found.matrix.entries, expected.matrix.entries);
    EXPECT_EQ(found.perplexity, expected.perplexity);
    ASSERT_EQ(found.nextn.size(), 1u);
    EXPECT_EQ(found.nextn.front().block, kLayers);
    EXPECT_EQ(found.nextn.front().tokens, 2);
    EXPECT_EQ(found.nextn.front().estimate->perplexity, expected.nextn.front().estimate->perplexity);
    EXPECT_TRUE(with_draft.notes.empty());
}

TEST_F(DraftFile, OfAnotherKindIsRefused) {
    const auto whole = fixture_.model();
    EXPECT_EQ(refusal(whole, draft()),
              whole.string() +
                  " has blocks that predict ahead itself (blk.3.nextn.eh_proj.weight); --nextn "
                  "calibrates them without a draft");
    EXPECT_EQ(
        refusal(draft(), {}),
        "is a draft: it holds blocks that predict ahead and no layers; give it with --model-draft beside "
        "its model");
    EXPECT_EQ(refusal(trunk(), part("other", is_of_block,
                                    {{"general.architecture", gguf::text("llama")},
                                     {"llama.block_count", gguf::u32(4)},
                                     {"llama.nextn_predict_layers", gguf::u32(1)}})),
              "is of architecture llama, expected the model's, glm4moe");
    EXPECT_EQ(refusal(trunk(), draft({{kAhead, gguf::u32(0)}})),
              "is no draft: glm4moe.nextn_predict_layers is 0, expected 1 or more");
    EXPECT_EQ(
        refusal(trunk(), whole),
        "is no draft: it has layers of its own (tensor blk.0.attn_norm.weight), expected blocks that predict "
        "ahead only");
    EXPECT_EQ(
        refusal(trunk(), draft({{kAhead, gguf::u32(4)}})),
        "its blocks attend to what the model's layers keep (glm4moe.block_count is 4, all of them predict "
        "ahead), which is not computed");
    EXPECT_EQ(refusal(trunk(), draft({{kBlockCount, gguf::u32(5)}})),
              "has no tensor blk.3.nextn.*, expected one behind the model's 3 layers");
    EXPECT_EQ(refusal(trunk(), draft({{"glm4moe.embedding_length_out", gguf::u32(512)}})),
              "hands on 512 columns, expected 256 as the model does");
    EXPECT_EQ(refusal(trunk(), draft({{"tokenizer.ggml.tokens", gguf::texts({"a"})}})),
              "has another vocabulary than the model (1 tokens and 512), expected the same");
}

TEST_F(DraftFile, AModelWithoutSuchBlocksIsTold) {
    Options options = options_for(fixture_);
    options.max_chunks = 1;
    options.model = trunk();
    Recorder recorder;
    const Result result = run(options, recorder);
    EXPECT_TRUE(result.nextn.empty());
    EXPECT_EQ(result.matrix.n_layer_nextn, 0u);
    EXPECT_EQ(recorder.notes,
              std::vector<std::string>{"the model has no blocks that predict ahead; --nextn has no effect"});
    // Its metadata alone speak of one.
    Recorder promised;
    options.model = part("promised", is_of_trunk, {});
    run(options, promised);
    EXPECT_EQ(
        promised.notes,
        std::vector<std::string>{
            "the model speaks of 1 blocks that predict ahead and holds no tensor of them; --nextn has no "
            "effect, and a file with them is given with --model-draft"});
}

TEST_F(DraftFile, CountsOneRowLessAChunk) {
    Options options = options_for(fixture_);
    Recorder recorder;
    const Result result = run(options, recorder);
    const auto rows = [&](const char* name) { return result.matrix.entries.at(name).counts.front(); };
    const auto n_ctx = static_cast<std::uint64_t>(options.n_ctx);
    const auto n_chunks = static_cast<std::uint64_t>(result.chunks_done);
    EXPECT_EQ(rows("blk.2.attn_q.weight"), n_chunks * n_ctx);
    for (const char* name :
         {"blk.3.nextn.eh_proj.weight", "blk.3.attn_q.weight", "blk.3.nextn.shared_head_head.weight"})
        EXPECT_EQ(rows(name), n_chunks * (n_ctx - 1)) << name;
    std::uint64_t routed = 0;
    for (const double count : result.matrix.entries.at("blk.3.ffn_up_exps.weight").counts) routed += count;
    EXPECT_EQ(routed, 2 * n_chunks * (n_ctx - 1));  // two experts a row
    EXPECT_EQ(rows("output.weight"), n_chunks * n_ctx) << "the block takes it and does not count";
    // Kept in the file beside the model's own.
    const imatrix::Matrix read = [&] {
        imatrix::Notes notes;
        return imatrix::load(options.output, {}, notes);
    }();
    EXPECT_EQ(read.n_layer_nextn, 1u);
    EXPECT_EQ(read.chunk_count, n_chunks);
    const auto losses = read_losses(read.extra, 1);
    ASSERT_EQ(losses.size(), n_chunks);
    perplexity::Sums sums;
    for (const perplexity::Sums& chunk : losses) sums.merge(chunk);
    EXPECT_EQ(sums.finish()->perplexity, result.nextn.front().estimate->perplexity);
}

}  // namespace
}  // namespace assay::calibrate
