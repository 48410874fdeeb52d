#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "tokenizer/plamo_segments.h"
#include "tokenizer/sample.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<SampleToken> with_bytes(std::vector<SampleToken> tokens) {
    for (unsigned byte = 0; byte < 256; ++byte) tokens.push_back({byte_text(byte), 0, kTypeByte});
    return tokens;
}

std::string encoded(const std::vector<SampleToken>& tokens, std::string_view text,
                    const std::string& model = "plamo2") {
    const auto tokenizer = make_tokenizer(sample_metadata(model, with_bytes(tokens)));
    return texts_of(*tokenizer, tokenizer->encode(text, kPlain));
}

TEST(Plamo, TakesTheCheapestCut) {
    const std::vector<SampleToken> tokens{{"a", -2}, {"b", -2}, {"ab", -3.5f}, {"abc", -9}, {"c", -3}};
    EXPECT_EQ(encoded(tokens, "abc"), "ab c");
    EXPECT_EQ(encoded({{"a", -2}, {"aa", -4}}, "aaa"), "aa a");  // of equal ones the longer token first
    EXPECT_EQ(encoded({{"a", 3}, {"aa", 5}}, "aa"), "a a");
    EXPECT_EQ(encoded(tokens, ""), "");
}

TEST(Plamo, ScoresCountInTenThousandths) {
    // -0.00004 is nothing, so both cuts cost the same; -0.00006 is one ten-thousandth.
    EXPECT_EQ(encoded({{"a", 0}, {"aa", -0.00004f}}, "aa"), "aa");
    EXPECT_EQ(encoded({{"a", 0}, {"aa", -0.00006f}}, "aa"), "a a");
}

TEST(Plamo, SpellsWhatCostsLessSpelled) {
    EXPECT_EQ(encoded({{"a", -1}},
                      "a\xC3\xA9"
                      "a"),
              "a <0xC3> <0xA9> a");
    EXPECT_EQ(encoded({{"a", -999}}, "a"), "a");
    EXPECT_EQ(encoded({{"a", -1001}}, "a"), "<0x61>");
    EXPECT_EQ(encoded({{"aa", -1999}}, "aa"), "aa");
    EXPECT_EQ(encoded({{"aaa", -2001}}, "aaa"), "<0x61> <0x61> <0x61>");  // such tokens are never used
    for (const float score : {std::nanf(""), INFINITY, -INFINITY, 1e30f})
        EXPECT_EQ(encoded({{"a", score}}, "a"), "<0x61>") << score;
    EXPECT_EQ(encoded({{"a", -1}}, "\xFF"), "<0xEF> <0xBF> <0xBD>");
    EXPECT_EQ(encoded({{"\xE2\x96"}}, "\xE2\x96\x81"),
              "<0xE2> <0x96> <0x81>");  // no token for half a character
}

TEST(Plamo, AByteOrderMarkAtTheStartIsDropped) {
    EXPECT_EQ(encoded({{"a"}},
                      "\xEF\xBB\xBF"
                      "a\xEF\xBB\xBF"),
              "a <0xEF> <0xBB> <0xBF>");
    EXPECT_EQ(encoded({{"a"}},
                      "\xEF\xBB\xBF"
                      "a",
                      "plamo3"),
              "<0xEF> <0xBB> <0xBF> a");
}

TEST(Plamo, FramesAsTheFileSays) {
    gguf::Metadata metadata = sample_metadata(
        "plamo2",
        with_bytes({{"u", 0, kTypeUnknown}, {"<bos>", 0, kTypeControl}, {"<eos>", 0, kTypeControl}}));
    const auto ids = [&] { return make_tokenizer(metadata)->encode("", {}); };
    EXPECT_THAT(ids(), ElementsAre());
    metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(true));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    EXPECT_THAT(ids(), ElementsAre(1, 2));
}

TEST(Plamo, NeedsEveryByteToken) {
    std::vector<SampleToken> tokens = with_bytes({});
    tokens[0x41].type = kTypeNormal;
    EXPECT_THAT(thrown([&] { make_tokenizer(sample_metadata("plamo2", tokens)); }),
                HasSubstr("has no byte token <0x41>"));
    tokens.erase(tokens.begin() + 0x41);
    EXPECT_THAT(thrown([&] { make_tokenizer(sample_metadata("plamo3", tokens)); }),
                HasSubstr("has no byte token <0x41>"));
}

TEST(PlamoSegments, CutAroundMarksAndRuns) {
    const auto cut = [](std::string_view text) {
        std::vector<std::string> all;
        for (const std::string_view segment : plamo_segments(text)) all.emplace_back(segment);
        return all;
    };
    EXPECT_THAT(cut(""), ElementsAre());
    EXPECT_THAT(cut("a b"), ElementsAre("a b"));
    EXPECT_THAT(cut("a  b   "), ElementsAre("a", "  ", "b", "   "));
    EXPECT_THAT(cut("aaa bbbb\n\n\n\n\nc"), ElementsAre("aaa ", "bbbb", "\n\n\n\n\nc"));
    EXPECT_THAT(cut("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9z"),
                ElementsAre("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", "z"));
    EXPECT_THAT(cut("x<|plamo:op|>y<|plamo:|>"), ElementsAre("x", "<|plamo:op|>", "y", "<|plamo:|>"));
    EXPECT_THAT(cut("<|plamo:a b|><|plamo:a\x1C|><|plamo:a|"),
                ElementsAre("<|plamo:a b|><|plamo:a\x1C|><|plamo:a|"));
    const std::string body = "abababababababababababababababababababababababababababababababab";
    ASSERT_EQ(body.size(), 64u);
    EXPECT_THAT(cut("x<|plamo:" + body + "|>"), ElementsAre("x", "<|plamo:" + body + "|>"));
    EXPECT_THAT(cut("x<|plamo:" + body + "a|>").size(), 1u);
    EXPECT_THAT(cut("::<|plamo:::|>::"), ElementsAre("::", "<|plamo:::|>", "::"));  // no run of six
    EXPECT_THAT(cut("a\xEE\xB8\x80\xEE\xB8\x80"
                    "b\xEE\xB8\x80"),
                ElementsAre("a", "b"));
}

/// The definition: from the end, over all tokens, the longest first.
std::vector<Token> naive_encode(const Vocabulary& vocabulary, const std::string& text) {
    std::map<std::size_t, std::pair<std::int64_t, std::vector<Token>>> best;
    best[text.size()] = {0, {}};
    for (std::size_t i = text.size(); i-- > 0;) {
        if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
        std::pair<std::int64_t, std::vector<Token>> here{std::int64_t{1} << 60, {}};
        const auto offer = [&](std::size_t end, std::int64_t cost, std::vector<Token> ids) {
            if (best[end].first + cost >= here.first) return;
            ids.insert(ids.end(), best[end].second.begin(), best[end].second.end());
            here = {best[end].first + cost, ids};
        };
        for (std::size_t end = text.size(); end > i; --end) {
            const Token id = vocabulary.find(text.substr(i, end - i));
            if (id != kNoToken && std::isfinite(vocabulary.score(id)))
                offer(end, -std::lround(double{vocabulary.score(id)} * 1e4), {id});
        }
        std::vector<Token> spelled;
        const std::size_t n = character_length(text, i);
        for (const char c : text.substr(i, n))
            spelled.push_back(vocabulary.find_byte(static_cast<std::uint8_t>(c)));
        offer(i + n, 10'000'000, spelled);
        best[i] = here;
    }
    return best[0].second;
}

TEST(Plamo, AgreesWithTheDefinitionOnRandomVocabulariesAndTexts) {
    std::mt19937 random(13);
    const std::vector<std::string> parts{"a", "b", "c", "\xC3\xA9", "\xE4\xB8\xAD"};
    const std::vector<std::string> text_parts{"a", "b", "c", "\xC3\xA9", "\xE4\xB8\xAD", "d"};
    for (int round = 0; round < 100; ++round) {
        std::vector<SampleToken> tokens;
        std::set<std::string> seen;
        for (unsigned i = 0; i < random() % 40; ++i) {
            const std::string text = random_text(random, parts, 4);
            const float score = random() % 9 == 0 ? -INFINITY : -0.5f * static_cast<float>(random() % 6);
            if (!text.empty() && seen.insert(text).second) tokens.push_back({text, score});
        }
        const auto tokenizer = make_tokenizer(sample_metadata("plamo2", with_bytes(tokens)));
        for (int i = 0; i < 10; ++i) {
            const std::string text = random_text(random, text_parts, 30);
            ASSERT_EQ(tokenizer->encode(text, kPlain), naive_encode(tokenizer->vocabulary(), text)) << text;
        }
    }
}

TEST(Plamo, LongTextsTakeLinearTime) {
    for (const char* model : {"plamo2", "plamo3"}) {
        const auto tokenizer =
            make_tokenizer(sample_metadata(model, with_bytes({{"a", -1}, {std::string(16, 'a'), -1}})));
        EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a'), kPlain).size(), 1u << 16);
        std::string marks;
        while (marks.size() < 1 << 20) marks += "<|plamo:";
        EXPECT_EQ(tokenizer->encode(marks, kPlain).size(), marks.size());
    }
}

}  // namespace
}  // namespace assay::tokenizer
