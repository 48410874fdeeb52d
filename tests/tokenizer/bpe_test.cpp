#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <pthread.h>
#include <set>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/sample.h"
#include "tokenizer/splitter.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

const std::string kMark(kSpaceMark);

gguf::Metadata sample_bpe(const std::string& pre, std::vector<SampleToken> tokens, gguf::Strings merges) {
    gguf::Metadata metadata = sample_metadata("gpt2", tokens);
    metadata.set("tokenizer.ggml.merges", gguf::texts(std::move(merges)));
    if (!pre.empty()) metadata.set("tokenizer.ggml.pre", gguf::text(pre));
    return metadata;
}

std::vector<SampleToken> tokens_of(const std::vector<std::string>& texts) {
    std::vector<SampleToken> tokens;
    for (const std::string& text : texts) tokens.push_back({text});
    return tokens;
}

std::string encoded(const gguf::Metadata& metadata, std::string_view text, Encoding how = kPlain) {
    const auto tokenizer = make_tokenizer(metadata);
    return texts_of(*tokenizer, tokenizer->encode(text, how));
}

TEST(Bpe, MergesInTheOrderOfTheListAndTiesFromTheLeft) {
    const auto tokens = tokens_of({"a", "b", "c", "ab", "bc", "aa", "abc"});
    EXPECT_EQ(encoded(sample_bpe("gpt-2", tokens, {"b c", "a b", "a bc"}), "abcab"), "abc ab");
    EXPECT_EQ(encoded(sample_bpe("gpt-2", tokens, {"a b", "b c", "a bc"}), "abc"), "ab c");
    EXPECT_EQ(encoded(sample_bpe("gpt-2", tokens, {"a a"}), "aaa"), "aa a");
    EXPECT_EQ(encoded(sample_bpe("gpt-2", tokens, {"a b", "b c", "a b"}), "abc"), "ab c");  // first counts
}

TEST(Bpe, BytesAreWrittenInTheAlphabet) {
    const auto alphabet = byte_alphabet();
    EXPECT_EQ(alphabet[' '], "\xC4\xA0");
    EXPECT_EQ(alphabet['\n'], "\xC4\x8A");
    EXPECT_EQ(alphabet[0], "\xC4\x80");
    EXPECT_EQ(alphabet[0xAD], "\xC5\x83");
    EXPECT_EQ(alphabet['!'], "!");
    EXPECT_EQ(alphabet[0xFF], "\xC3\xBF");
    EXPECT_EQ(std::set<std::string>(alphabet.begin(), alphabet.end()).size(), 256u);
    const auto metadata = sample_bpe("gpt-2", tokens_of({"\xC4\xA0", "\xC4\xA0x", "x"}), {"\xC4\xA0 x"});
    EXPECT_EQ(encoded(metadata, "x x"), "x \xC4\xA0x");
}

// What llama.cpp makes of these bytes, spelled as bytes again.
TEST(Bpe, BrokenTextBecomesReplacementCharacters) {
    std::vector<std::string> texts;
    for (const std::string& text : byte_alphabet()) texts.push_back(text);
    const auto tokenizer = make_tokenizer(sample_bpe("gpt-2", tokens_of(texts), {}));
    const auto bytes = [&](std::string_view text) {
        std::string out;
        for (const Token id : tokenizer->encode(text, kPlain)) out += static_cast<char>(id);
        return out;
    };
    const std::string bad = "\xEF\xBF\xBD";
    EXPECT_EQ(bytes("ab\xE2\x80"), "ab" + bad + bad);
    EXPECT_EQ(bytes("ab\x80z"), "ab" + bad + "z");
    EXPECT_EQ(bytes("ab\xFF\xFFz"), "ab" + bad + bad + "z");
    EXPECT_EQ(bytes("ab\xED\xA0\x80z"), "ab\xED\xA0\x80z");
    EXPECT_EQ(bytes("ab\xF4\x90\x80\x80z"), "ab" + bad + bad + bad + bad + "z");
    EXPECT_EQ(bytes("ab\xC0\xA9z"), "ab" + bad + bad + "z");
    EXPECT_EQ(bytes("ab\xE0\x80\xA9z"), "ab" + bad + bad + bad + "z");
    for (const std::string& whole :
         {std::string("a\0b\0", 4),
          std::string("\xEF\xBB\xBF"
                      "ab"),
          std::string("a\r\nb\r\n"), std::string("\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80")})
        EXPECT_EQ(bytes(whole), whole);
}

TEST(Bpe, SymbolsOutsideTheVocabularyLeaveTheirOneByteTexts) {
    // "ab" merges but is no token; its bytes are. The space is spelled C4 A0, of which neither is a token.
    const auto metadata = sample_bpe("gpt-2", tokens_of({"a", "b"}), {"a b"});
    EXPECT_EQ(encoded(metadata, "ab c a"), "a b a");
}

TEST(Bpe, IgnoreMergesTakesWholeWords) {
    const auto tokens = tokens_of({"a", "b", "c", "abc", "\xC4\xA0"});
    EXPECT_EQ(encoded(sample_bpe("gpt-2", tokens, {}), "abc"), "a b c");
    EXPECT_EQ(encoded(sample_bpe("llama-bpe", tokens, {}), "abc abc"), "abc \xC4\xA0 a b c");
}

TEST(Bpe, PlainTextFamiliesMarkSpacesAndSpellBytes) {
    const auto tokens = tokens_of({kMark, "a", kMark + "a", "\n", "\n\n", "<0xC3>", "<0xA9>", "bos"});
    gguf::Metadata metadata = sample_bpe("gemma4", tokens, {kMark + " a"});
    EXPECT_EQ(encoded(metadata, "a a"), "a " + kMark + "a");
    EXPECT_EQ(encoded(metadata, "\n\n"), "\n\n");
    EXPECT_EQ(encoded(metadata, "\n\n\n"), "\n \n \n");
    EXPECT_EQ(encoded(metadata, "\xC3\xA9?"), "<0xC3> <0xA9>");
    metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(7));
    metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(false));
    EXPECT_EQ(encoded(metadata, "a", {}), "bos a");
    metadata.set("tokenizer.ggml.model", gguf::text("gemma4"));
    metadata.set("tokenizer.ggml.pre", gguf::text("no such name"));
    EXPECT_EQ(encoded(metadata, "a a", {}), "bos a " + kMark + "a");
    metadata.set("tokenizer.ggml.model", gguf::text("gpt2"));
    metadata.set("tokenizer.ggml.pre", gguf::text("sarvam-moe"));
    EXPECT_EQ(encoded(metadata, "\n\n", {}), "\n \n");
}

TEST(Bpe, DefaultIdsAndFlagsFollowThePreTokenizer) {
    std::vector<std::string> texts;
    for (char c = 'a'; c <= 'n'; ++c) texts.emplace_back(1, c);
    const auto vocabulary = [&](const char* pre) {
        return make_tokenizer(sample_bpe(pre, tokens_of(texts), {}));
    };
    EXPECT_EQ(vocabulary("gpt-2")->vocabulary().ids().bos, 11);
    EXPECT_EQ(vocabulary("gpt-2")->vocabulary().ids().eos, 11);
    EXPECT_FALSE(vocabulary("gpt-2")->vocabulary().add_bos());
    EXPECT_EQ(vocabulary("glm4")->vocabulary().ids().bos, kNoToken);
    EXPECT_TRUE(vocabulary("tekken")->vocabulary().add_bos());
    EXPECT_EQ(vocabulary("")->vocabulary().warnings().size(), 1u);
    EXPECT_EQ(encoded(sample_bpe("llama-bpe", tokens_of(texts), {}), "a", {}), "l a");
}

TEST(Bpe, HostileMetadataGivesSentences) {
    const auto tokens = tokens_of({"a", "b", "ab"});
    gguf::Metadata metadata = sample_metadata("gpt2", tokens);
    EXPECT_EQ(thrown([&] { make_tokenizer(metadata); }),
              "sample: metadata key tokenizer.ggml.merges is missing");
    metadata.set("tokenizer.ggml.pre", gguf::text("kimi-k2"));
    EXPECT_EQ(encoded(metadata, "ab"), "a b");
    EXPECT_THAT(thrown([&] { make_tokenizer(sample_bpe("gpt-3", tokens, {})); }),
                AllOf(HasSubstr("tokenizer.ggml.pre is \"gpt-3\""), HasSubstr("the nearest are: gpt-2 ")));
    EXPECT_THAT(thrown([&] { make_tokenizer(sample_bpe(std::string(1 << 20, 'q'), tokens, {})); }),
                HasSubstr("the nearest are: "));
    EXPECT_THAT(thrown([&] { make_tokenizer(sample_metadata("morse", tokens)); }),
                AllOf(HasSubstr("\"morse\""), HasSubstr("llama gpt2")));
    EXPECT_EQ(thrown([&] { make_tokenizer(sample_metadata("none", tokens)); }),
              "sample: the model comes without a tokenizer (tokenizer.ggml.model is \"none\")");
    EXPECT_THAT(thrown([&] { make_tokenizer(sample_bpe("llama-bpe", tokens, {}))->encode("a"); }),
                HasSubstr("BOS"));
    const auto tolerant = make_tokenizer(sample_bpe("gpt-2", tokens, {"", "ab", " b", "a ", "a b"}));
    EXPECT_EQ(tolerant->encode("ab", kPlain), std::vector<Token>{2});
    EXPECT_THAT(tolerant->vocabulary().warnings(), ::testing::ElementsAre(HasSubstr("4 of 5 merges")));
}

TEST(Bpe, WhitespaceModelsDropWhiteSpaceAndLowerLetters) {
    gguf::Metadata metadata =
        sample_bpe("whitespace", tokens_of({"a", "b", "A", "\xC3\xA9", "ab", "<0xC3>"}), {"a b"});
    metadata.set("tokenizer.ggml.model", gguf::text("whitespace"));
    EXPECT_EQ(encoded(metadata,
                      " a\t\nb\xC2\xA0"
                      "ab\xE3\x80\x80"),
              "a b ab");
    EXPECT_EQ(encoded(metadata, "AB \xC3\x89"), "A <0xC3>");  // E with accent: one of its bytes is a token
    metadata.set("tokenizer.ggml.normalizer.lowercase", gguf::boolean(true));
    EXPECT_EQ(encoded(metadata, "AB \xC3\x89"), "ab \xC3\xA9");
    metadata.set("tokenizer.ggml.pre", gguf::text("gpt-2"));
    EXPECT_EQ(encoded(metadata, "AB"), "ab");
    metadata.set("tokenizer.ggml.normalizer.lowercase", gguf::boolean(false));
    EXPECT_EQ(encoded(metadata, "AB a b"), "A a b");
}

TEST(Bpe, HybridDnaCutsNucleotidesInSixes) {
    const std::string mark = "\xEE\x80\x80";
    std::vector<std::string> texts{"<dna>", "</dna>", "<oov>", "C", "CC", "A"};
    for (const char* group : {"ACGTAC", "CCCCCC", "GGAAAA"}) texts.push_back(group + mark);
    gguf::Metadata metadata = sample_bpe("gpt-2", tokens_of(texts), {"C C"});
    metadata.set("tokenizer.ggml.model", gguf::text("hybriddna"));
    const std::string acgtac = "ACGTAC" + mark;
    EXPECT_EQ(encoded(metadata, "CCCCCC<dna>CCCCCC</dna>CC"), "CC CC CC <dna> CCCCCC" + mark + " </dna> CC");
    EXPECT_EQ(encoded(metadata, "<dna>acgtacACGTACgg</dna>"),
              "<dna> " + acgtac + " " + acgtac + " GGAAAA" + mark + " </dna>");
    EXPECT_EQ(encoded(metadata, "<dna>ACNTACACGTAC"), "<dna> <oov> " + acgtac);  // not closed
    EXPECT_EQ(encoded(metadata, "<dna></dna></dna>A<dna>"), "<dna> </dna> A <dna>");
    metadata.set("tokenizer.ggml.tokens", gguf::texts({"C", "CC", "A", "d", "n", "a", "<", ">", "x"}));
    EXPECT_EQ(encoded(metadata, "<dna>CC"), "< d n a > CC");  // a vocabulary without the marks
}

TEST(Bpe, LongWordsTakeNLogNTime) {
    const auto tokens = tokens_of({"a", "aa", "aaaa"});
    for (const char* pre : {"gpt-2", "gemma4"}) {
        const auto tokenizer = make_tokenizer(sample_bpe(pre, tokens, {"a a", "aa aa"}));
        EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a'), kPlain).size(), 1u << 18) << pre;
    }
}

/// The definition without heap, cache or cuts.
std::vector<Token> naive_word(const Vocabulary& vocabulary, const std::map<std::string, std::size_t>& ranks,
                              std::vector<std::string> symbols, bool plain) {
    for (;;) {
        std::size_t best = symbols.size();
        std::size_t best_rank = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto rank = ranks.find(symbols[i] + " " + symbols[i + 1]);
            if (rank != ranks.end() && (best == symbols.size() || rank->second < best_rank)) {
                best = i;
                best_rank = rank->second;
            }
        }
        if (best == symbols.size()) break;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    std::vector<Token> ids;
    for (const std::string& symbol : symbols) {
        if (vocabulary.find(symbol) != kNoToken) {
            ids.push_back(vocabulary.find(symbol));
            continue;
        }
        for (const char c : symbol) {
            const Token id = plain ? vocabulary.find_byte(static_cast<std::uint8_t>(c))
                                   : vocabulary.find(std::string(1, c));
            if (id != kNoToken) ids.push_back(id);
        }
    }
    return ids;
}

std::vector<Token> naive_encode(const Vocabulary& vocabulary, const std::map<std::string, std::size_t>& ranks,
                                const std::string& pre_name, const std::string& text) {
    const PreTokenizer& pre = *find_pre_tokenizer(pre_name);
    const bool plain = (pre.flags & kPlainText) != 0;
    const auto alphabet = byte_alphabet();
    std::string marked;
    std::string clean;
    if (plain) append_marked(marked, text);
    append_clean(clean, plain ? marked : text);
    Splitter::Workspace workspace;
    std::vector<Token> ids;
    std::size_t begin = 0;
    for (const std::uint32_t n : Splitter(pre).split(clean, workspace)) {
        std::vector<std::string> symbols;
        for (std::size_t i = begin; i < begin + n;) {
            const std::size_t length = plain ? character_length(clean, i) : 1;
            symbols.push_back(plain ? clean.substr(i, length)
                                    : alphabet[static_cast<unsigned char>(clean[i])]);
            i += length;
        }
        begin += n;
        for (const Token id : naive_word(vocabulary, ranks, symbols, plain)) ids.push_back(id);
    }
    return ids;
}

TEST(Bpe, AgreesWithTheDefinitionOnRandomVocabulariesAndTexts) {
    std::mt19937 random(5);
    const auto alphabet = byte_alphabet();
    for (const std::string pre : {"gpt-2", "sarvam-moe"}) {
        std::vector<std::string> parts{"a", "b", "c", "\n"};
        for (const std::string byte : {"\xC4\xA0", "\xC3\x83", "\xC2\xA9"}) parts.push_back(byte);
        if (pre != "gpt-2") parts = {"a", "b", "c", kMark, kMark, "\xC3\xA9", "\n"};
        const std::vector<std::string> text_parts{"a", "b", "c", " ", " ", "\xC3\xA9", "\n", "\xFF", kMark};
        for (int round = 0; round < 300; ++round) {
            std::vector<std::string> texts = parts;
            gguf::Strings merges;
            std::map<std::string, std::size_t> ranks;
            for (std::size_t n = random() % 40; n > 0; --n) {
                const std::string left = texts[random() % texts.size()];
                const std::string right = texts[random() % texts.size()];
                merges.push_back(left + " " + right);
                ranks.emplace(merges.back(), merges.size() - 1);
                texts.push_back(left + right);
            }
            std::set<std::string> kept;
            for (const std::string& text : texts)
                if (random() % 5 != 0) kept.insert(text);
            kept.insert(byte_text(0xC3));
            const auto tokenizer =
                make_tokenizer(sample_bpe(pre, tokens_of({kept.begin(), kept.end()}), merges));
            for (int i = 0; i < 10; ++i) {
                const std::string text = random_text(random, text_parts, 60);
                ASSERT_EQ(tokenizer->encode(text, kPlain),
                          naive_encode(tokenizer->vocabulary(), ranks, pre, text))
                    << pre << " round " << round << " text " << text;
            }
        }
    }
}

TEST(Bpe, WithoutAPreTokenizerOrMergesIsStillOne) {
    const auto tokens = tokens_of({"a", "b", "ab"});
    EXPECT_EQ(encoded(sample_bpe("", tokens, {"a b"}), "ab"), "ab");
    EXPECT_EQ(encoded(sample_bpe("gpt-2", tokens, {}), "ab"), "a b");
    gguf::Metadata metadata = sample_bpe("gpt-2", tokens, {});
    metadata.set("tokenizer.ggml.merges", gguf::i32s({1, 2}));
    EXPECT_NE(thrown([&] { make_tokenizer(metadata); }), "nothing");
}

void* encode_on_this_thread(void* work) {
    (*static_cast<std::function<void()>*>(work))();
    return nullptr;
}

// What goes through each rule a hundred thousand characters at a time: quadratic steps would take minutes,
// and a recursion per character more than this stack.
TEST(Bpe, LongRunsTakeLittleTimeAndStack) {
    constexpr std::size_t kBytes = 300'000;
    std::vector<std::string> texts{"<s>"};
    for (const std::string& text : byte_alphabet()) texts.push_back(text);
    for (const std::string pre :
         {"llama-bpe", "qwen2", "tekken", "gpt-4o", "deepseek-v3", "kimi-k2", "smollm", "default"}) {
        gguf::Metadata metadata = sample_bpe(pre, tokens_of(texts), {"t h"});
        metadata.set("tokenizer.ggml.bos_token_id", gguf::u32(0));
        const auto tokenizer = make_tokenizer(metadata);
        for (const std::string unit :
             {"a", "A", "aB", "7", " ", "\n", "\r\n", "!", "\xE6\xBC\xA2", "\xCC\x81", "\xFF"}) {
            std::string run;
            while (run.size() < kBytes) run += unit;
            std::size_t n_tokens = 0;
            std::function<void()> work = [&] { n_tokens = tokenizer->encode(run, kPlain).size(); };
            pthread_attr_t small;
            pthread_attr_init(&small);
            pthread_attr_setstacksize(&small, std::size_t{512} << 10);
            pthread_t thread{};
            ASSERT_EQ(pthread_create(&thread, &small, encode_on_this_thread, &work), 0);
            pthread_join(thread, nullptr);
            pthread_attr_destroy(&small);
            EXPECT_EQ(n_tokens, unit == "\xFF" ? 3 * run.size() : run.size()) << pre << " " << unit;
        }
    }
}

}  // namespace
}  // namespace assay::tokenizer
