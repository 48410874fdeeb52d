#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "tokenizer/sample.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

const std::string kMark(kSpaceMark);

std::vector<SampleToken> with_bytes(std::vector<SampleToken> tokens) {
    for (unsigned byte = 0; byte < 256; ++byte) tokens.push_back({byte_text(byte), 0, kTypeByte});
    return tokens;
}

const std::vector<SampleToken> kSmall = with_bytes({{"<unk>", 0, kTypeUnknown},
                                                    {"<s>", 0, kTypeControl},
                                                    {"</s>", 0, kTypeControl},
                                                    {"a", -9},
                                                    {"b", -9},
                                                    {kMark, -9},
                                                    {"ab", -2},
                                                    {"ba", -1},
                                                    {"aa", -1},
                                                    {kMark + "a", -3},
                                                    {"<x>", 0, kTypeUserDefined}});

std::string encoded(const gguf::Metadata& metadata, std::string_view text, Encoding how = kPlain) {
    const auto tokenizer = make_tokenizer(metadata);
    return texts_of(*tokenizer, tokenizer->encode(text, how));
}

TEST(Spm, MergesTheHighestScoreFirstAndTiesFromTheLeft) {
    gguf::Metadata metadata = sample_metadata("llama", kSmall);
    metadata.set("tokenizer.ggml.add_space_prefix", gguf::boolean(false));
    EXPECT_EQ(encoded(metadata, "aba"), "a ba");
    EXPECT_EQ(encoded(metadata, "aaa"), "aa a");
    EXPECT_EQ(encoded(metadata, "abb"), "ab b");
    EXPECT_EQ(encoded(metadata, " ab"), kMark + " ab");
}

TEST(Spm, BrokenTextIsSpelledAsItIs) {
    std::vector<SampleToken> tokens;
    for (unsigned byte = 0; byte < 256; ++byte) tokens.push_back({byte_text(byte), 0, kTypeByte});
    const auto tokenizer = make_tokenizer(sample_metadata("llama", tokens));
    for (const std::string text : {"ab\xE2\x80", "ab\x80z", "ab\xFF\xFFz", "ab\xED\xA0\x80z",
                                   "ab\xF4\x90\x80\x80z", "ab\xC0\xA9z", "ab\xE0\x80\xA9z",
                                   "\xEF\xBB\xBF"
                                   "a\r\n"}) {
        std::string bytes;
        for (const Token id : tokenizer->encode(text, kPlain)) bytes += static_cast<char>(id);
        EXPECT_EQ(bytes, std::string(kSpaceMark) + text);
    }
}

TEST(Spm, SpellsWhatItDoesNotKnowByteByByte) {
    const gguf::Metadata metadata = sample_metadata("llama", kSmall);
    EXPECT_EQ(encoded(metadata, "c\xC3\xA9\xFF"), kMark + " <0x63> <0xC3> <0xA9> <0xFF>");
    EXPECT_EQ(encoded(sample_metadata("llama", {{kMark}, {"c"}}), "c"), kMark + " c");
    EXPECT_EQ(thrown([] {
                  encoded(sample_metadata("llama", {{kMark}, {"c"}}), "d");
              }),
              "sample: the vocabulary has no token for byte 0x64, which the text contains");
}

TEST(Spm, PrefixesASpaceAtTheStartAndAfterSpecialTokens) {
    const gguf::Metadata metadata = sample_metadata("llama", kSmall);
    EXPECT_EQ(encoded(metadata, "a<x>a<x> b"),
              kMark + "a <x> " + kMark + "a <x> " + kMark + " " + kMark + " b");
    EXPECT_EQ(encoded(metadata, ""), "");
}

TEST(Spm, AddsBosAndEosAsTheVocabularyAsks) {
    gguf::Metadata metadata = sample_metadata("llama", kSmall);
    EXPECT_EQ(encoded(metadata, "", {}), "<s>");
    EXPECT_EQ(encoded(metadata, "<s>a", {true, true}), "<s> <s> " + kMark + "a");
    metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(false));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    EXPECT_EQ(encoded(metadata, "a", {}), kMark + "a </s>");
    EXPECT_EQ(encoded(metadata, "a", kPlain), kMark + "a");
    EXPECT_THAT(thrown([] { encoded(sample_metadata("llama", {{"a"}}), "", {}); }),
                HasSubstr("asks for a BOS token but names none"));
}

TEST(Spm, ControlTokensAreTextUnlessParsed) {
    const gguf::Metadata metadata = sample_metadata("llama", kSmall);
    EXPECT_EQ(encoded(metadata, "</s>", {false, true}), "</s>");
    EXPECT_EQ(encoded(metadata, "</s>", {false, false}), kMark + " <0x3C> <0x2F> <0x73> <0x3E>");
}

TEST(Spm, RefusesScoresThatAreNotNumbers) {
    EXPECT_THAT(thrown([] {
                    make_tokenizer(sample_metadata("llama", {{"a"}, {"b", NAN}}));
                }),
                HasSubstr("score of token 1 is not a number"));
}

TEST(Spm, LongWordsTakeNLogNTime) {
    const auto tokenizer = make_tokenizer(sample_metadata("llama", {{kMark}, {"a"}, {"aa", 1}, {"aaaa", 2}}));
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a'), kPlain).size(), 1 + (1u << 18));
}

/// The definition without heap, cache or cuts: look at all neighbours, join the best, start again.
std::vector<Token> naive_encode(const Vocabulary& vocabulary, const std::string& text) {
    std::string marked;
    append_marked(marked, " " + text);
    std::vector<std::string> symbols;
    for (std::size_t i = 0; i < marked.size();) {
        symbols.push_back(marked.substr(i, character_length(marked, i)));
        i += symbols.back().size();
    }
    for (;;) {
        std::size_t best = symbols.size();
        float best_score = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const Token id = vocabulary.find(symbols[i] + symbols[i + 1]);
            if (id == kNoToken) continue;
            if (best == symbols.size() || vocabulary.score(id) > best_score) {
                best = i;
                best_score = vocabulary.score(id);
            }
        }
        if (best == symbols.size()) break;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    std::vector<Token> ids;
    for (const std::string& symbol : symbols) {
        if (vocabulary.find(symbol) != kNoToken)
            ids.push_back(vocabulary.find(symbol));
        else
            for (const char c : symbol) ids.push_back(vocabulary.find_byte(static_cast<std::uint8_t>(c)));
    }
    return ids;
}

TEST(Spm, AgreesWithTheDefinitionOnRandomVocabulariesAndTexts) {
    std::mt19937 random(3);
    const std::vector<std::string> parts{"a", "b", "c", kMark, kMark, "\xC3\xA9", "\xE4\xB8\xAD"};
    std::vector<std::string> text_parts = parts;
    for (const char* part : {" ", " ", "\xF0", "\xE2\x96", "\x81", "d"}) text_parts.emplace_back(part);
    for (int round = 0; round < 400; ++round) {
        std::vector<SampleToken> tokens = with_bytes({});
        std::set<std::string> seen;
        for (std::size_t n = random() % 60; n > 0; --n) {
            const std::string text = random_text(random, parts, 5);
            if (!text.empty() && seen.insert(text).second)
                tokens.push_back({text, static_cast<float>(random() % 9) - 4.0f});
        }
        const auto tokenizer = make_tokenizer(sample_metadata("llama", tokens));
        for (int i = 0; i < 10; ++i) {
            const std::string text = random_text(random, text_parts, 60);
            if (text.empty()) continue;
            ASSERT_EQ(tokenizer->encode(text, kPlain), naive_encode(tokenizer->vocabulary(), text))
                << "round " << round << " text " << text;
        }
    }
}

}  // namespace
}  // namespace assay::tokenizer
