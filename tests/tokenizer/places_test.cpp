// The bytes that tokens stand for, by every family.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuzz/sample_vocabulary.h"
#include "tokenizer/sample.h"

namespace assay::tokenizer {
namespace {

class Places : public testing::TestWithParam<const char*> {};

constexpr const char* kTexts[] = {"", "a", " aab aa  12 \n\n x", "<s>aa<|a|>b</s> é日本😀",
                                  "\xFF<\xC0"
                                  "a\xE6\x97"};

TEST_P(Places, RiseAndCoverTheText) {
    const auto tokenizer = make_tokenizer(fuzz::sample_vocabulary(GetParam(), "gpt-2"));
    for (const std::string text : kTexts)
        for (const bool parse_special : {false, true}) {
            const std::vector<Placed> placed = tokenizer->encode_placed(text, {true, parse_special});
            std::vector<Token> ids;
            std::size_t done = 0;
            for (const Placed& token : placed) {
                ids.push_back(token.token);
                EXPECT_GE(token.bytes.begin, done);
                EXPECT_GE(token.bytes.end, token.bytes.begin);
                done = token.bytes.end;
            }
            EXPECT_EQ(ids, tokenizer->encode(text, {true, parse_special}));
            EXPECT_LE(done, text.size());
        }
}

INSTANTIATE_TEST_SUITE_P(Families, Places, testing::ValuesIn(fuzz::kFamilies),
                         [](const auto& family) { return std::string(family.param); });

/// The text's bytes of each token.
std::vector<std::string> parts(const gguf::Metadata& metadata, const std::string& text) {
    const auto tokenizer = make_tokenizer(metadata);
    std::vector<std::string> out;
    for (const Placed& token : tokenizer->encode_placed(text, {.add_special = false, .parse_special = true}))
        out.push_back(text.substr(token.bytes.begin, token.bytes.end - token.bytes.begin));
    return out;
}

TEST(Places, AreExactForFamiliesOfConversations) {
    EXPECT_THAT(parts(fuzz::sample_vocabulary("gpt2", "gpt-2"), "aab<s> aé"),
                testing::ElementsAre("a", "ab", "<s>", " a", "\xC3", "\xA9"));
    std::vector<SampleToken> tokens{
        {"<unk>", 0, kTypeUnknown}, {"<s>", 0, kTypeControl}, {"\xE2\x96\x81"}, {"b"}};
    for (unsigned byte = 0; byte < 256; ++byte) tokens.push_back({byte_text(byte), 0, kTypeByte});
    // A space that is put before the text has no bytes in it.
    EXPECT_THAT(parts(sample_metadata("llama", tokens), "b <s>é"),
                testing::ElementsAre("", "b", " ", "<s>", "", "\xC3", "\xA9"));
}

}  // namespace
}  // namespace assay::tokenizer
