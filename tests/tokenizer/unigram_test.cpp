#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "tokenizer/sample.h"
#include "tokenizer/sample_map.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

constexpr int kTypeUnused = 5;
const std::string kMark(kSpaceMark);

std::vector<SampleToken> with_specials(const std::vector<SampleToken>& tokens) {
    std::vector<SampleToken> all{
        {"<pad>", 0, kTypeControl}, {"</s>", 0, kTypeControl}, {"<unk>", 0, kTypeUnknown}};
    all.insert(all.end(), tokens.begin(), tokens.end());
    return all;
}

std::string encoded(const gguf::Metadata& metadata, std::string_view text, Encoding how = kPlain) {
    const auto tokenizer = make_tokenizer(metadata);
    return texts_of(*tokenizer, tokenizer->encode(text, how));
}

TEST(Unigram, TakesTheMostProbableCut) {
    const auto metadata = sample_metadata(
        "t5", with_specials({{"a", -2}, {"b", -2}, {"ab", -3.5f}, {"abc", -9}, {"c", -3}, {"bc", -6}}));
    EXPECT_EQ(encoded(metadata, "ab"), "ab");
    EXPECT_EQ(encoded(metadata, "abc"), "ab c");
    EXPECT_EQ(encoded(metadata, "bca"), "b c a");
    EXPECT_EQ(encoded(metadata, ""), "");
    EXPECT_EQ(encoded(metadata, "ab", {}), "ab </s>");
}

TEST(Unigram, OfEqualCutsTheOneFoundFirst) {
    // Both ends of "aba" score -4; the first to reach its end begins earlier.
    EXPECT_EQ(
        encoded(sample_metadata("t5", with_specials({{"a", -2}, {"ab", -2}, {"ba", -2}, {"b", -2}})), "aba"),
        "a ba");
}

TEST(Unigram, UnknownCharactersInARowAreOne) {
    const auto metadata = sample_metadata("t5", with_specials({{"a", -1}, {"bc", -2}}));
    EXPECT_EQ(encoded(metadata,
                      "a\xC3\xA9\xE4\xB8\xAD"
                      "a?"),
              "a <unk> a <unk>");
    EXPECT_EQ(encoded(metadata, "bbc"), "<unk> bc");
    EXPECT_EQ(encoded(metadata, "\xFF\xFF"), "<unk>");
    gguf::Metadata without = metadata;
    without.set("tokenizer.ggml.tokens", gguf::texts({"a", "b"}));
    EXPECT_THAT(thrown([&] { encoded(without, "?"); }), HasSubstr("names no token for what is unknown"));
}

TEST(Unigram, OnlySomeTypesTakePart) {
    const auto metadata = sample_metadata("t5", with_specials({{"a", -1},
                                                               {"ab", -1, kTypeControl},
                                                               {"b", -1},
                                                               {"c", -5, kTypeUnused},
                                                               {"d", -99, kTypeUserDefined},
                                                               {"e", -1, kTypeByte}}));
    EXPECT_EQ(encoded(metadata, "abcde"), "a b c d <unk>");
}

TEST(Unigram, SpacesFollowTheFile) {
    const std::vector<SampleToken> tokens =
        with_specials({{"a", -1}, {"b", -1}, {kMark, -1}, {kMark + "a", -1.5f}});
    gguf::Metadata metadata = sample_metadata("t5", tokens);
    const auto with = [&](bool prefix, bool single) {
        metadata.set("tokenizer.ggml.add_space_prefix", gguf::boolean(prefix));
        metadata.set("tokenizer.ggml.remove_extra_whitespaces", gguf::boolean(single));
        return encoded(metadata, " a  b ");
    };
    const std::string m = kMark;
    EXPECT_EQ(with(false, false), m + "a " + m + " " + m + " b " + m);
    EXPECT_EQ(with(true, false), m + " " + m + "a " + m + " " + m + " b " + m);
    EXPECT_EQ(with(false, true), m + "a " + m + " b");
    EXPECT_EQ(with(true, true), m + "a " + m + " b");
    metadata.set("tokenizer.ggml.remove_extra_whitespaces", gguf::text("yes"));
    EXPECT_THAT(thrown([&] { make_tokenizer(metadata); }), HasSubstr("remove_extra_whitespaces"));
}

TEST(Unigram, TheMapComesFirst) {
    SampleMap map;
    map.add("A", "a");
    map.add("\xEF\xAC\x81", "fi");
    map.add("x", "");
    map.add("\t", " ");
    map.add("AB", "c");
    gguf::Metadata metadata = sample_metadata(
        "t5", with_specials({{"a", -1}, {"c", -1}, {"f", -1}, {"i", -1}, {kMark, -1}, {"\xEF\xBF\xBD", -1}}));
    metadata.set("tokenizer.ggml.precompiled_charsmap", map_value(map));
    EXPECT_EQ(encoded(metadata, "Aa"), "a a");
    EXPECT_EQ(encoded(metadata, "AAB"), "a c");  // the longest
    EXPECT_EQ(encoded(metadata, "\xEF\xAC\x81"), "f i");
    EXPECT_EQ(encoded(metadata, "axa\ta"), "a a " + kMark + " a");
    EXPECT_EQ(encoded(metadata, "xxx"), "");
    EXPECT_EQ(encoded(metadata, "a\xEF\xAC"), "a \xEF\xBF\xBD \xEF\xBF\xBD");
    metadata.set("tokenizer.ggml.precompiled_charsmap", gguf::text("no map"));
    EXPECT_THAT(thrown([&] { make_tokenizer(metadata); }), HasSubstr("tokenizer.ggml.precompiled_charsmap"));
}

TEST(Unigram, RefusesScoresThatAreNotFinite) {
    for (const float score : {std::nanf(""), INFINITY, -INFINITY})
        EXPECT_THAT(thrown([&] {
                        make_tokenizer(sample_metadata("t5", {{"a"}, {"b", score}}));
                    }),
                    HasSubstr("the score of token 1 is not a finite number"));
}

/// The definition, by hash table: best[end] over all beginnings.
std::vector<Token> naive_encode(const std::vector<SampleToken>& tokens, const std::string& text) {
    std::map<std::string, Token> ids;
    double lowest = 1e30;
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (tokens[i].type == kTypeNormal) {
            ids[tokens[i].text] = static_cast<Token>(i);
            lowest = std::min<double>(lowest, tokens[i].score);
        }
    struct Cell {
        double score = -1e300;
        std::vector<Token> ids;
    };
    std::vector<Cell> cells(text.size() + 1);
    cells[0].score = 0;
    const auto offer = [](Cell& there, const Cell& here, double score, Token id) {
        if (here.score + score <= there.score) return;
        there = {here.score + score, here.ids};
        if (id != 2 || there.ids.empty() || there.ids.back() != 2) there.ids.push_back(id);
    };
    for (std::size_t i = 0; i < text.size(); i += character_length(text, i)) {
        const std::size_t character = character_length(text, i);
        for (std::size_t n = 1; i + n <= text.size(); ++n) {
            const auto it = ids.find(text.substr(i, n));
            if (it != ids.end())
                offer(cells[i + n], cells[i], tokens[static_cast<std::size_t>(it->second)].score, it->second);
        }
        if (ids.count(text.substr(i, character)) == 0)
            offer(cells[i + character], cells[i], static_cast<float>(lowest) - 10.0f, 2);
    }
    return cells.back().ids;
}

TEST(Unigram, AgreesWithTheDefinitionOnRandomVocabulariesAndTexts) {
    std::mt19937 random(11);
    const std::vector<std::string> parts{"a", "b", "c", "\xC3\xA9", "\xE4\xB8\xAD"};
    for (int round = 0; round < 300; ++round) {
        std::vector<SampleToken> tokens = with_specials({});
        std::set<std::string> seen;
        for (unsigned i = 0; i < 1 + random() % 40; ++i) {
            const std::string text = random_text(random, parts, 4);
            if (!text.empty() && seen.insert(text).second)
                tokens.push_back({text, -0.5f * static_cast<float>(random() % 16)});
        }
        if (tokens.size() == 3) continue;
        const auto tokenizer = make_tokenizer(sample_metadata("t5", tokens));
        for (int i = 0; i < 10; ++i) {
            const std::string text = random_text(random, parts, 30);
            ASSERT_EQ(tokenizer->encode(text, kPlain), naive_encode(tokens, text)) << round << " " << text;
        }
    }
}

TEST(Unigram, LongTextsTakeLinearTime) {
    const auto tokenizer =
        make_tokenizer(sample_metadata("t5", with_specials({{"a", -1}, {std::string(16, 'a'), -2}})));
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a'), kPlain).size(), 1u << 16);
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'z'), kPlain).size(), 1u);
}

}  // namespace
}  // namespace assay::tokenizer
