#include "recipe/recipe.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <stdexcept>

#include "core/error.h"
#include "recipe/model.h"
#include "recipe/recipe_text.h"

namespace assay::recipe {
namespace {

using quant::TypeId;
using testing::HasSubstr;

std::vector<Spec> two_blocks() {
    std::vector<Spec> specs = {{"token_embd.weight", {256, 64}}, {"output.weight", {256, 64}}};
    for (const char* block : {"blk.0.", "blk.1."})
        for (const char* kind : {"attn_q", "attn_v", "ffn_up"})
            specs.push_back({block + std::string(kind) + ".weight", {256, 32}});
    specs.push_back({"blk.0.attn_norm.weight", {256}, TypeId::F32});
    specs.push_back({"blk.0.ffn_gate_inp.weight", {256, 4}, TypeId::F32});
    return specs;
}

imatrix::Matrix matrix_for(const gguf::File& file) {
    imatrix::Matrix matrix;
    for (const gguf::Tensor& tensor : file.tensors())
        if (tensor.name.starts_with("blk.")) matrix.entries[tensor.name] = entry(tensor.ne[0], {50});
    return matrix;
}

Options at_bpw(double bpw) {
    Options options;
    options.target_bpw = bpw;
    return options;
}

const TensorChoice& get(const Recipe& recipe, const std::string& name) {
    for (const TensorChoice& tensor : recipe.tensors)
        if (tensor.name == name) return tensor;
    throw std::runtime_error(name);
}

class RecipeTest : public testing::Test {
  protected:
    RecipeTest() : model(two_blocks()), matrix(matrix_for(model.file())), threads(2) {}

    Recipe make(const Options& options) { return make_recipe(model.file(), matrix, options, threads); }

    void expect_usage(const Options& options, const std::string& sentence) {
        try {
            make(options);
            ADD_FAILURE() << "no error: " << sentence;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Usage);
            EXPECT_THAT(error.what(), HasSubstr(sentence));
        }
    }

    TinyModel model;
    imatrix::Matrix matrix;
    ThreadPool threads;
};

TEST_F(RecipeTest, StaysWithinTheBudgetAndUsesIt) {
    double last = std::numeric_limits<double>::infinity();
    for (const double bpw : {4.5, 5.0, 6.0, 7.5, 9.0}) {
        const Recipe recipe = make(at_bpw(bpw));
        EXPECT_LE(recipe.bpw(), bpw);
        EXPECT_GT(recipe.bpw(), bpw - 0.5);
        EXPECT_LT(recipe.error, last);
        EXPECT_LE(recipe.bound, recipe.error);
        EXPECT_LT(recipe.gap(), 0.25);
        last = recipe.error;
    }
}

TEST_F(RecipeTest, RulesAndOptionsGiveEveryTensorItsType) {
    const Recipe recipe = make(at_bpw(5.5));
    const Matcher type_of(recipe.rules);
    for (const TensorChoice& tensor : recipe.tensors) {
        if (tensor.name == "token_embd.weight") {
            EXPECT_EQ(recipe.token_embedding_type, tensor.type);
        } else if (tensor.name == "output.weight") {
            EXPECT_EQ(recipe.output_type, tensor.type);
        } else if (tensor.quantised) {
            EXPECT_EQ(type_of(tensor.name), tensor.type) << tensor.name;
        }
    }
    EXPECT_EQ(get(recipe, "blk.0.attn_norm.weight").type, TypeId::F32);
    EXPECT_EQ(get(recipe, "blk.0.ffn_gate_inp.weight").type, TypeId::F32);
    EXPECT_FALSE(get(recipe, "blk.0.ffn_gate_inp.weight").quantised);
}

TEST_F(RecipeTest, SizesAddUp) {
    const Recipe recipe = make(at_bpw(5.5));
    std::uint64_t bytes = 0;
    for (const TensorChoice& tensor : recipe.tensors) bytes += tensor.bytes;
    EXPECT_EQ(recipe.tensor_bytes, bytes);
    EXPECT_GT(recipe.file_bytes, bytes);
}

TEST_F(RecipeTest, AFileSizeLeavesRoomForTheHeader) {
    Options options;
    options.target_bytes = 60000;
    const Recipe recipe = make(options);
    EXPECT_LE(recipe.file_bytes, 60000u);
    EXPECT_GT(recipe.file_bytes, 55000u);
    options.target_bytes = 10;
    expect_usage(options, "without any weights");
}

TEST_F(RecipeTest, ConstraintsHoldAndTheFirstDecides) {
    Options options = at_bpw(6.0);
    options.keep = {parse_keep("1\\.attn_v=q8_0"), parse_keep("attn_v=q3_K"), parse_keep("token_embd=iq3_s")};
    const Recipe recipe = make(options);
    EXPECT_EQ(get(recipe, "blk.1.attn_v.weight").type, TypeId::Q8_0);
    EXPECT_EQ(get(recipe, "blk.0.attn_v.weight").type, TypeId::Q3_K);
    EXPECT_TRUE(get(recipe, "blk.0.attn_v.weight").kept);
    EXPECT_FALSE(get(recipe, "blk.0.attn_q.weight").kept);
    // A type without an encoder here is possible as a constraint; its error is not known.
    EXPECT_EQ(recipe.token_embedding_type, TypeId::IQ3_S);
    EXPECT_EQ(get(recipe, "token_embd.weight").relative, std::nullopt);
    EXPECT_THAT(recipe.notes, testing::Contains(HasSubstr("not measured")));
}

TEST_F(RecipeTest, RefusesWhatCannotBe) {
    expect_usage({}, "either --target-bpw or --target-size");
    expect_usage(at_bpw(-1.0), "positive");
    expect_usage(at_bpw(std::nan("")), "positive");
    Options options = at_bpw(6.0);
    options.keep = {parse_keep("attn_kk=q8_0")};
    expect_usage(options, "matches no tensor");
    options = at_bpw(6.0);
    options.types = {TypeId::IQ2_XS};
    expect_usage(options, "cannot round to iq2_xs");
}

TEST_F(RecipeTest, NamesTheSmallestPossibleSize) {
    try {
        make(at_bpw(2.0));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Usage);
        // Q3_K (110 bytes for 256 weights) for the two embeddings, which have no data; Q2_K (84) for the
        // 192 rows that have; 256 + 1024 weights stay F32.
        const std::uint64_t smallest = 128 * 110 + 192 * 84 + 1280 * 4;
        EXPECT_THAT(error.what(),
                    HasSubstr("smallest possible size is " + std::to_string(smallest) + " bytes"));
        Options options = at_bpw(8.0 * (static_cast<double>(smallest) + 0.5) / (320 * 256 + 1280));
        EXPECT_EQ(make(options).tensor_bytes, smallest);
    }
}

TEST_F(RecipeTest, TypesThatNeedDataAreRefusedWithoutIt) {
    matrix.entries.erase("blk.1.ffn_up.weight");
    Options options = at_bpw(3.5);
    const Recipe recipe = make(options);
    EXPECT_NE(get(recipe, "blk.1.ffn_up.weight").type, TypeId::Q2_K);
    EXPECT_FALSE(get(recipe, "blk.1.ffn_up.weight").has_data);
    EXPECT_THAT(recipe.notes, testing::Contains(HasSubstr("3 tensors have no data")));
    options.keep = {parse_keep("ffn_up=iq2_xs")};
    expect_usage(options, "blk.1.ffn_up.weight has no data");
}

TEST_F(RecipeTest, MergingCostsErrorAndSavesRules) {
    Options options = at_bpw(5.0);
    const Recipe apart = make(options);
    options.merge_tolerance = 1.0;
    const Recipe merged = make(options);
    EXPECT_EQ(get(merged, "blk.0.attn_q.weight").type, get(merged, "blk.1.attn_q.weight").type);
    EXPECT_LE(merged.rules.size(), apart.rules.size());
    EXPECT_GE(merged.error, apart.bound);
}

TEST_F(RecipeTest, CommandLinesStayOnOneLine) {
    const std::string line = llama_command(make(at_bpw(8.0)), {"a\x1b\n'b", "i", "d", "r", "o"});
    EXPECT_NE(line.find(R"( $'a\x1b\x0a\x27b' o)"), std::string::npos) << line;
}

TEST_F(RecipeTest, CommandLinesAreComplete) {
    Options options = at_bpw(5.0);
    options.keep = {parse_keep("token_embd=q8_0"), parse_keep("^output=q6_K"), parse_keep("blk=q4_K")};
    options.target_bpw = 8.0;
    const Recipe recipe = make(options);
    const CommandNames names{"in model.gguf", "m.gguf", "m.dat", "types.txt", "out.gguf"};
    EXPECT_EQ(llama_command(recipe, names),
              "llama-quantize --imatrix m.gguf --token-embedding-type q8_0 --output-tensor-type q6_K "
              "--tensor-type-file types.txt 'in model.gguf' out.gguf Q4_K_M");
    const std::string rule = R"(^blk\.[0-9]+\.(attn_q|attn_v|ffn_up)\.weight$=q4_K)";
    EXPECT_EQ(rules_file(recipe), rule + "\n");
    EXPECT_EQ(
        ik_command(recipe, names),
        "llama-quantize --imatrix m.dat --token-embedding-type q8_0 --output-tensor-type q6_K --custom-q '" +
            rule + "' 'in model.gguf' out.gguf Q4_K_M");
    EXPECT_THAT(recipe_text(recipe), testing::AllOf(HasSubstr("bits per weight"), HasSubstr("q4_K x2"),
                                                    HasSubstr("gap"), HasSubstr("f32 x2")));
}

TEST(Recipe, RowsThatFitNoBlockBecomeF16) {
    const TinyModel model({{"blk.0.attn_q.weight", {48, 8}}, {"blk.0.ffn_up.weight", {96, 8}}});
    ThreadPool threads(1);
    Options options = at_bpw(16.0);
    options.keep = {parse_keep("ffn_up=q4_K")};
    const Recipe recipe = make_recipe(model.file(), imatrix::Matrix(), options, threads);
    EXPECT_EQ(recipe.tensors[0].type, TypeId::F16);
    EXPECT_EQ(recipe.tensors[1].type, TypeId::Q5_0);
    EXPECT_THAT(recipe.notes, testing::Contains(HasSubstr("do not fit q4_K")));
}

TEST(Recipe, AModelWithoutQuantisedTensorsNeedsNoRules) {
    const TinyModel model({{"a_norm.weight", {64}, TypeId::F32}, {"b.bias", {64}, TypeId::F32}});
    ThreadPool threads(1);
    const Recipe recipe = make_recipe(model.file(), imatrix::Matrix(), at_bpw(32.0), threads);
    EXPECT_TRUE(recipe.rules.empty());
    EXPECT_EQ(recipe.tensor_bytes, 512u);
    EXPECT_EQ(llama_command(recipe, {"m", "i", "d", "r", "o"}), "llama-quantize --imatrix i m o Q8_0");
    EXPECT_THROW(make_recipe(model.file(), imatrix::Matrix(), at_bpw(31.0), threads), Error);
}

TEST(Recipe, TheTiedEmbeddingWeighsAsTheOutput) {
    // At equal relative error the embedding of one layer's model weighs twice a matrix of the layer.
    const TinyModel model({{"token_embd.weight", {256, 32}}, {"blk.0.attn_q.weight", {256, 32}}});
    ThreadPool threads(1);
    Options options = at_bpw(16.0);
    options.keep = {parse_keep("attn_q=f16"), parse_keep("embd=q4_0")};
    const Recipe recipe = make_recipe(model.file(), imatrix::Matrix(), options, threads);
    EXPECT_DOUBLE_EQ(recipe.error, 2.0 * recipe.tensors[0].relative.value());
    EXPECT_THAT(recipe.notes, testing::Contains(HasSubstr("--output-tensor-name token_embd.weight")));
}

}  // namespace
}  // namespace assay::recipe
