#include "calibrate/text_chunks.h"

#include <gtest/gtest.h>
#include <numeric>

#include "core/error.h"

namespace assay::calibrate {
namespace {

tokenizer::Vocabulary vocabulary(bool add_bos) {
    gguf::Metadata metadata("test");
    metadata.set("tokenizer.ggml.tokens", gguf::texts({"a", "b", "<s>"}));
    tokenizer::VocabularyDefaults defaults;
    defaults.ids.bos = 2;
    defaults.add_bos = add_bos;
    return {metadata, defaults};
}

std::vector<tokenizer::Token> counted(int n) {
    std::vector<tokenizer::Token> tokens(static_cast<std::size_t>(n));
    std::iota(tokens.begin(), tokens.end(), 100);
    return tokens;
}

Options options(std::int64_t n_ctx) {
    Options result;
    result.n_ctx = n_ctx;
    return result;
}

std::string refusal(int tokens, const Options& asked) {
    try {
        make_chunks(counted(tokens), vocabulary(false), asked);
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Usage);
        return error.what();
    }
    return "accepted";
}

TEST(Chunks, DropsTheTail) {
    const Chunks chunks = make_chunks(counted(35), vocabulary(false), options(10));
    EXPECT_EQ(chunks.n_chunks(), 3);
    EXPECT_EQ(chunks.n_tokens, 35);
    EXPECT_EQ(chunks.inputs.size(), 30u);
    EXPECT_EQ(chunks.target_range(2, 1).front(), 120);
}

TEST(Chunks, BosReplacesTheFirstInputButNoTarget) {
    const Chunks chunks = make_chunks(counted(30), vocabulary(true), options(10));
    EXPECT_EQ(chunks.inputs[10], 2);
    EXPECT_EQ(chunks.inputs[11], 111);
    EXPECT_EQ(chunks.targets[10], 110);
    const Chunks without = make_chunks(counted(30), vocabulary(false), options(10));
    EXPECT_EQ(without.inputs[10], 110);
}

TEST(TextNotes, TellOfATokenThatIsThereTwice) {
    const auto notes = [](std::vector<tokenizer::Token> ids, bool add_bos = true) {
        return text_notes("text", ids, vocabulary(add_bos));
    };
    ASSERT_EQ(notes({2, 2, 0}).size(), 1u);
    EXPECT_EQ(
        notes({2, 2, 0}).front(),
        "the text begins with the BOS token <s> (2), which the model's tokenizer adds there anyway: it is "
        "there twice");
    EXPECT_TRUE(notes({2, 0, 2}).empty());
    EXPECT_TRUE(notes({2}).empty());
    EXPECT_TRUE(notes({2, 2, 0}, false).empty()) << "it is the text's own";

    gguf::Metadata metadata("test");
    metadata.set("tokenizer.ggml.tokens", gguf::texts({"a", "</s>"}));
    tokenizer::VocabularyDefaults defaults;
    defaults.ids.eos = 1;
    defaults.add_eos = true;
    const std::vector<tokenizer::Token> ids{0, 1, 1};
    ASSERT_EQ(text_notes("text", ids, {metadata, defaults}).size(), 1u);
    EXPECT_NE(text_notes("text", ids, {metadata, defaults}).front().find("ends with the EOS token </s>"),
              std::string::npos);
}

TEST(TextNotes, TellOfWhatIsNoText) {
    const auto notes = [](std::string_view text) { return text_notes(text, {}, vocabulary(false)); };
    ASSERT_EQ(notes(std::string_view("h\0e\0l\0l\0o\0", 10)).size(), 1u);
    EXPECT_EQ(notes(std::string_view("h\0e\0l\0l\0o\0", 10)).front(),
              "the text looks like UTF-16 text; it is taken for UTF-8 text as it is");
    for (const std::string text : {"", "words", "<html>", "{\"a\": 1}", "\xff"})
        EXPECT_TRUE(notes(text).empty()) << text;
}

TEST(Chunks, NeedsTwoChunks) {
    EXPECT_EQ(make_chunks(counted(20), vocabulary(false), options(10)).n_chunks(), 2);
    EXPECT_NE(refusal(19, options(10)).find("you need at least 20 tokens for a context of 10 tokens"),
              std::string::npos);
    EXPECT_NE(refusal(0, options(10)).find("tokenizes to only 0 tokens"), std::string::npos);
    Options huge = options(std::int64_t{1} << 40);
    EXPECT_NE(refusal(19, huge), "accepted");
}

TEST(Chunks, SkipsAndLimits) {
    Options asked = options(10);
    asked.skip_chunks = 2;
    asked.max_chunks = 1;
    const Chunks chunks = make_chunks(counted(51), vocabulary(false), asked);
    EXPECT_EQ(chunks.n_chunks(), 1);
    EXPECT_EQ(chunks.targets.front(), 120);
    // (N + 2) * n_ctx >= tokens is refused: the limit of the peers.
    EXPECT_NE(refusal(40, asked).find("not enough tokens left after removing 2 chunks"), std::string::npos);
    EXPECT_EQ(make_chunks(counted(41), vocabulary(false), asked).n_chunks(), 1);
    asked.skip_chunks = std::int64_t{1} << 62;
    EXPECT_NE(refusal(40, asked), "accepted");
}

}  // namespace
}  // namespace assay::calibrate
