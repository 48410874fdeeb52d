#include "tokenizer/special_search.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "tokenizer/sample.h"

namespace assay::tokenizer {
namespace {

/// Raw text in quotes, tokens as #id.
std::string shown(const std::vector<Fragment>& fragments) {
    std::string text;
    for (const Fragment& fragment : fragments)
        text += fragment.token == kNoToken ? fmt::format("'{}'", fragment.text)
                                           : fmt::format("#{}", fragment.token);
    return text;
}

/// The rule, literally: each candidate in turn, longest first, takes its leftmost occurrences in raw text.
std::vector<Fragment> naive_partition(const Vocabulary& vocabulary, std::string_view text,
                                      bool parse_special) {
    std::vector<Token> candidates;
    for (Token id = 0; id < static_cast<Token>(vocabulary.size()); ++id) {
        const Attributes attributes = vocabulary.attributes(id);
        if ((attributes & (kControl | kUserDefined | kUnknown)) == 0) continue;
        if (!parse_special && (attributes & (kControl | kUnknown)) != 0) continue;
        candidates.push_back(id);
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [&](Token a, Token b) { return vocabulary.text(a).size() > vocabulary.text(b).size(); });
    const auto is_space = [](char c) { return c == ' ' || (c >= 9 && c <= 13); };
    std::vector<Fragment> fragments;
    if (!text.empty()) fragments.push_back({text, kNoToken});
    for (const Token id : candidates) {
        const std::string& special = vocabulary.text(id);
        std::vector<Fragment> next;
        for (const Fragment& fragment : fragments) {
            std::string_view raw = fragment.text;
            if (fragment.token != kNoToken) next.push_back(fragment);
            for (std::size_t at; !raw.empty() && (at = raw.find(special)) != std::string_view::npos;) {
                std::string_view left = raw.substr(0, at);
                raw.remove_prefix(at + special.size());
                if ((vocabulary.attributes(id) & kStripLeft) != 0)
                    while (!left.empty() && is_space(left.back())) left.remove_suffix(1);
                if ((vocabulary.attributes(id) & kStripRight) != 0)
                    while (!raw.empty() && is_space(raw.front())) raw.remove_prefix(1);
                if (!left.empty()) next.push_back({left, kNoToken});
                next.push_back({{}, id});
            }
            if (!raw.empty()) next.push_back({raw, kNoToken});
        }
        fragments = next;
    }
    return fragments;
}

TEST(SpecialSearch, LongestCandidatesFirstThenLeftmost) {
    const Vocabulary vocabulary(sample_metadata("llama", {{"abc", 0, kTypeControl},
                                                          {"bcde", 0, kTypeControl},
                                                          {"ab", 0, kTypeControl},
                                                          {"e", 0, kTypeUserDefined}}),
                                {});
    const SpecialSearch all(vocabulary, true);
    EXPECT_EQ(shown(all.partition("abcdefabcab")), "'a'#1'f'#0#2");
    EXPECT_EQ(shown(all.partition("abcxe")), "#0'x'#3");
    EXPECT_EQ(shown(all.partition("")), "");
    const SpecialSearch user_defined(vocabulary, false);
    EXPECT_EQ(shown(user_defined.partition("abcdefab")), "'abcd'#3'fab'");
}

TEST(SpecialSearch, StripsWhiteSpaceBesideTokensThatAskForIt) {
    gguf::Metadata metadata =
        sample_metadata("llama", {{"<x>", 0, kTypeControl}, {"<s>", 0, kTypeControl}, {"</s>"}});
    metadata.set("general.name", gguf::text("My Phi-3 mini"));
    const Vocabulary vocabulary(metadata, {});
    EXPECT_EQ(shown(SpecialSearch(vocabulary, true).partition("a <x> \n b <s> c</s>  ")),
              "'a '#0'b '#1' c'#2");
    metadata = sample_metadata("llama", {{"<mask>", 0, kTypeControl}});
    metadata.set("general.architecture", gguf::text("jina-bert-v3"));
    const Vocabulary masked(metadata, {});
    EXPECT_EQ(shown(SpecialSearch(masked, true).partition(" <mask> a \t<mask> b")), "#0' a'#0' b'");
}

TEST(SpecialSearch, InPlainBytesNothingIsAMark) {
    const Vocabulary vocabulary(sample_metadata("llama", {{"<a>", 0, kTypeControl},
                                                          {"<a>b", 0, kTypeControl},
                                                          {"<", 0, kTypeUserDefined},
                                                          {"<|u|>", 0, kTypeUserDefined}}),
                                {});
    const SpecialSearch all(vocabulary, true);
    const auto cut = [&](std::string_view text, std::vector<Range> plain) {
        return shown(all.partition(text, plain));
    };
    EXPECT_EQ(cut("<a>b<a>", {}), "#1#0");
    EXPECT_EQ(cut("<a>b<a>", {{0, 3}}), "#2'a>b'#0");
    EXPECT_EQ(cut("<a>b<a>", {{3, 4}}), "#0'b'#0") << "the shorter one has room";
    EXPECT_EQ(cut("<a>b<a>", {{1, 2}, {6, 7}}), "#2'a>b'#2'a>'");
    EXPECT_EQ(cut("<|u|>", {}), "#3");
    EXPECT_EQ(cut("<|u|>", {{0, 5}}), "#2'|u|>'");
    EXPECT_TRUE(is_mark(vocabulary, 0) && is_mark(vocabulary, 3));
    EXPECT_FALSE(is_mark(vocabulary, 2));
}

TEST(SpecialSearch, AgreesWithTheRuleOnRandomVocabulariesAndTexts) {
    std::mt19937 random(7);
    const std::vector<std::string> letters{"a", "b", " ", "<", ">"};
    for (int round = 0; round < 3000; ++round) {
        std::vector<SampleToken> tokens;
        std::vector<std::string> seen;
        for (std::size_t n = 1 + random() % 12; n > 0; --n) {
            const std::string text = random_text(random, letters, 6);
            if (text.empty() || std::find(seen.begin(), seen.end(), text) != seen.end()) continue;
            seen.push_back(text);
            tokens.push_back({text, 0, random() % 3 == 0 ? kTypeUserDefined : kTypeControl});
        }
        tokens.push_back({"plain"});
        gguf::Metadata metadata = sample_metadata("llama", tokens);
        if (round % 2 == 0) metadata.set("general.name", gguf::text("phi3"));
        const Vocabulary vocabulary(metadata, {});
        for (const bool parse_special : {false, true}) {
            const SpecialSearch search(vocabulary, parse_special);
            for (int i = 0; i < 5; ++i) {
                const std::string text = random_text(random, letters, 40);
                ASSERT_EQ(shown(search.partition(text)),
                          shown(naive_partition(vocabulary, text, parse_special)))
                    << "round " << round << " text " << text;
            }
        }
    }
}

TEST(SpecialSearch, ManyNestedCandidatesInOneLongRun) {
    std::vector<SampleToken> tokens;
    for (std::size_t n = 2; n <= 31; ++n) tokens.push_back({std::string(n, ' '), 0, kTypeUserDefined});
    const Vocabulary vocabulary(sample_metadata("llama", tokens), {});
    const std::string text(1'000'000, ' ');
    const auto fragments = SpecialSearch(vocabulary, false).partition(text);
    ASSERT_EQ(fragments.size(), 1'000'000u / 31 + 1);
    EXPECT_EQ(fragments.front().token, 29);
    EXPECT_EQ(fragments.back().token, static_cast<Token>(1'000'000 % 31 - 2));
}

}  // namespace
}  // namespace assay::tokenizer
