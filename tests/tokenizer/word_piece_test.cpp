#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/sample.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

const std::string kMark(kSpaceMark);

/// Words begin with the mark in the vocabulary; here without, and what goes on with "##".
gguf::Metadata sample(const std::vector<std::string>& pieces) {
    std::vector<SampleToken> tokens{
        {"[UNK]", 0, kTypeUnknown}, {"[CLS]", 0, kTypeControl}, {"[SEP]", 0, kTypeControl}};
    for (const std::string& piece : pieces)
        tokens.push_back({piece.rfind("##", 0) == 0 ? piece.substr(2) : kMark + piece});
    gguf::Metadata metadata = sample_metadata("bert", tokens);
    metadata.set("tokenizer.ggml.unknown_token_id", gguf::u32(0));
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(1));
    metadata.set("tokenizer.ggml.seperator_token_id", gguf::u32(2));
    return metadata;
}

std::string encoded(const gguf::Metadata& metadata, std::string_view text, Encoding how = kPlain) {
    const auto tokenizer = make_tokenizer(metadata);
    std::string joined;
    for (const Token id : tokenizer->encode(text, how)) {
        const std::string& piece = tokenizer->vocabulary().text(id);
        if (!joined.empty()) joined += ' ';
        joined += piece[0] == '[' ? piece : piece.rfind(kMark, 0) == 0 ? piece.substr(3) : "##" + piece;
    }
    return joined;
}

TEST(WordPiece, TakesTheLongestBeginningAgainAndAgain) {
    const auto metadata = sample({"a", "ab", "abc", "##b", "##c", "##bc", "##d"});
    EXPECT_EQ(encoded(metadata, "abcd"), "abc ##d");
    EXPECT_EQ(encoded(metadata, "abd ad"), "ab ##d a ##d");
    EXPECT_EQ(encoded(metadata, "abcbc"), "abc ##bc");
}

TEST(WordPiece, AWordThatDoesNotComeApartIsOneUnknown) {
    const auto metadata = sample({"a", "##b"});
    EXPECT_EQ(encoded(metadata, "abx a abbbx xa b"), "[UNK] a [UNK] [UNK] [UNK]");
    gguf::Metadata without = metadata;
    without.set("tokenizer.ggml.unknown_token_id", gguf::u32(99));
    EXPECT_EQ(encoded(without, "ab"), "a ##b");
    EXPECT_THAT(thrown([&] { encoded(without, "x"); }), HasSubstr("names no token for what is unknown"));
}

TEST(WordPiece, CutsAtWhiteSpaceAndAroundSigns) {
    const auto metadata =
        sample({"a", ".", "$", "\xE4\xB8\xAD", "\xE2\x82\xAC", "##\xE2\x82\xAC", "\xE2\x80\xA6"});
    EXPECT_EQ(encoded(metadata,
                      " a\t\na\xC2\xA0"
                      "a\xE3\x80\x80 "),
              "a a a");
    EXPECT_EQ(encoded(metadata, "a.$a..a"), "a . $ a . . a");
    EXPECT_EQ(encoded(metadata,
                      "a\xE4\xB8\xAD\xE4\xB8\xAD"
                      "a"),
              "a \xE4\xB8\xAD \xE4\xB8\xAD a");
    EXPECT_EQ(encoded(metadata, "a\xE2\x80\xA6"), "a \xE2\x80\xA6");    // punctuation beyond ASCII
    EXPECT_EQ(encoded(metadata, "a\xE2\x82\xAC"), "a ##\xE2\x82\xAC");  // a symbol beyond ASCII does not cut
    EXPECT_EQ(encoded(metadata, std::string("a\0\x01\xC2\xAD\xFFz", 6)), "a");  // control, format, not UTF-8
    EXPECT_EQ(encoded(metadata, ""), "");
}

TEST(WordPiece, NormalisesAsTheFileSays) {
    gguf::Metadata metadata = sample({"e", "E", "\xC3\xA9", "\xC3\x89", "##\xCC\x81"});
    const std::string text = "E \xC3\x89 e\xCC\x81";  // E, É, e with a combining accent
    EXPECT_EQ(encoded(metadata, text), "e e e");
    metadata.set("tokenizer.ggml.normalizer.strip_accents", gguf::boolean(false));
    EXPECT_EQ(encoded(metadata, text), "e \xC3\xA9 e ##\xCC\x81");
    metadata.set("tokenizer.ggml.normalizer.lowercase", gguf::boolean(false));
    EXPECT_EQ(encoded(metadata, text), "E \xC3\x89 e ##\xCC\x81");
    metadata.set("tokenizer.ggml.normalizer.strip_accents", gguf::boolean(true));
    EXPECT_EQ(encoded(metadata, text), "E E e");
    metadata.set("tokenizer.ggml.normalizer.lowercase", gguf::text("yes"));
    EXPECT_THAT(thrown([&] { make_tokenizer(metadata); }), HasSubstr("tokenizer.ggml.normalizer.lowercase"));
}

TEST(WordPiece, FramesWhateverTheFileSays) {
    gguf::Metadata metadata = sample({"a"});
    metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(false));
    EXPECT_EQ(encoded(metadata, "a", {}), "[CLS] a [SEP]");
    EXPECT_EQ(encoded(metadata, "", {}), "[CLS] [SEP]");
    EXPECT_EQ(encoded(metadata, "a[SEP]a", {true, true}), "[CLS] a [SEP] a [SEP]");
    metadata.set("tokenizer.ggml.seperator_token_id", gguf::u32(99));
    EXPECT_THAT(thrown([&] { encoded(metadata, "a", {}); }), HasSubstr("asks for a separator token"));
}

TEST(WordPiece, LongWordsTakeLinearTime) {
    const auto tokenizer = make_tokenizer(sample({"a", "##a", "##aaaa"}));
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a'), kPlain).size(), 1 + (1 << 18) - 1 + 3u);
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a') + "x", kPlain).size(), 1u);
}

}  // namespace
}  // namespace assay::tokenizer
