#include "tokenizer/splitter.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

std::vector<std::string> split(std::string_view name, std::string_view text) {
    const Splitter splitter(*find_pre_tokenizer(name));
    Splitter::Workspace workspace;
    std::string clean;
    append_clean(clean, text);
    std::vector<std::string> words;
    std::size_t begin = 0;
    for (const std::uint32_t n : splitter.split(clean, workspace)) {
        words.push_back(clean.substr(begin, n));
        begin += n;
    }
    EXPECT_EQ(begin, clean.size());
    return words;
}

std::size_t count_code_points(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::set<std::string> words_of(const std::string& names) {
    std::istringstream in(names);
    return {std::istream_iterator<std::string>(in), {}};
}

nlohmann::json golden() {
    std::ifstream file(ASSAY_GOLDEN_DIR "/tokenizer/splits.json");
    return nlohmann::json::parse(file);
}

// The golden is made by another regular expression engine from the published patterns (make_splits.py).
TEST(Splitter, CutsAsThePublishedPatternsForEveryName) {
    const nlohmann::json data = golden();
    const auto texts = data.at("texts").get<std::vector<std::string>>();
    for (const auto& [names, rows] : data.at("lengths in code points").items())
        for (const std::string& name : words_of(names)) {
            ASSERT_NE(find_pre_tokenizer(name), nullptr) << name;
            for (std::size_t i = 0; i < texts.size(); ++i) {
                std::vector<std::size_t> lengths;
                for (const std::string& word : split(name, texts[i]))
                    lengths.push_back(count_code_points(word));
                EXPECT_EQ(lengths, rows.at(i).get<std::vector<std::size_t>>()) << name << ": " << texts[i];
            }
        }
}

TEST(Splitter, GoldenCoversEveryKnownName) {
    const nlohmann::json data = golden();
    std::set<std::string> covered;
    for (const auto& [names, rows] : data.at("lengths in code points").items())
        covered.merge(words_of(names));
    const auto names = pre_tokenizer_names();
    EXPECT_EQ(covered, (std::set<std::string>{names.begin(), names.end()}));
    EXPECT_EQ(covered.size(), names.size());  // no name twice
}

TEST(Splitter, UnknownNamesAreNotFound) {
    EXPECT_EQ(find_pre_tokenizer(""), nullptr);
    EXPECT_EQ(find_pre_tokenizer("llama"), nullptr);
    EXPECT_EQ(find_pre_tokenizer("dbrx smaug-bpe"), nullptr);
}

// A quadratic rule would need hours for this. Each text is one run, then the run with something behind it.
TEST(Splitter, LongRunsTakeLinearTime) {
    std::set<std::string_view> done;
    for (const std::string_view name : pre_tokenizer_names()) {
        const PreTokenizer* pre = find_pre_tokenizer(name);
        if (!done.insert(pre->names).second) continue;
        for (const std::string unit : {" ", "\n", "a", "A", "7", "'", "\xE4\xB8\xAD", "\xCC\x81", "\t "}) {
            std::string text;
            for (int i = 0; i < 300'000; ++i) text += unit;
            split(name, text);
            split(name, text + "x");
        }
    }
}

TEST(Splitter, ReplacesWhatIsNotUtf8) {
    const std::string bad = "\xEF\xBF\xBD";
    EXPECT_EQ(split("gpt-2", "a\xFF\xC3(b"), (std::vector<std::string>{"a", bad + bad + "(", "b"}));
    EXPECT_EQ(split("gpt-2", "\xE2\x82"), (std::vector<std::string>{bad + bad}));
    EXPECT_EQ(split("gpt-2", "\xF4\x90\x80\x80"), (std::vector<std::string>{bad + bad + bad + bad}));
    for (const char* overlong : {"\xC1\x81", "\xE0\x81\x81", "\xF0\x80\x81\x81"}) {
        std::string replaced;
        for (std::size_t i = 0; i < std::strlen(overlong); ++i) replaced += bad;
        EXPECT_EQ(split("gpt-2", overlong), (std::vector<std::string>{replaced}));
    }
    EXPECT_EQ(split("gpt-2", "\xED\xA0\x80"), (std::vector<std::string>{"\xED\xA0\x80"}));
    EXPECT_TRUE(split("gpt-2", "").empty());
}

TEST(Splitter, NearestNamesHaveTheFewestEdits) {
    EXPECT_EQ(nearest_pre_tokenizers("qwen3").front(), "qwen2");
    EXPECT_EQ(nearest_pre_tokenizers("glm-5").front(), "glm5");
    EXPECT_EQ(nearest_pre_tokenizers("deepseek_v3").front(), "deepseek-v3");
    EXPECT_EQ(nearest_pre_tokenizers("llama5")[0], "llama3");  // before llama4: equals go by name
    EXPECT_EQ(nearest_pre_tokenizers("llama5")[1], "llama4");
    EXPECT_EQ(nearest_pre_tokenizers("").size(), 5u);
}

TEST(Splitter, FlagsOfNames) {
    const auto flags = [](std::string_view name) { return find_pre_tokenizer(name)->flags; };
    for (const char* name : {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
                             "lfm2", "jina-v5-nano", "tekken"})
        EXPECT_EQ(flags(name), kIgnoreMerges | kAddBos) << name;
    for (const char* name : {"minicpm5", "youtu", "granite-embed-multi-97m"})
        EXPECT_EQ(flags(name), kIgnoreMerges) << name;
    for (const char* name : {"glm4", "glm5"}) EXPECT_EQ(flags(name), kIgnoreMerges | kNoDefaultBos) << name;
    EXPECT_EQ(flags("chatglm-bpe"), kNoDefaultBos);
    for (const char* name : {"gemma4", "granite-embed-multi-311m"})
        EXPECT_EQ(flags(name), kMarkSpaces | kPlainText | kNewlineWords | kAlwaysAddBos) << name;
    EXPECT_EQ(flags("sarvam-moe"), kMarkSpaces | kPlainText);
    EXPECT_EQ(flags("whitespace"), kPlainText);
    EXPECT_EQ(flags("chameleon"), kAddBos);
    EXPECT_EQ(flags("kimi-k2"), kMergesOptional);
    for (const char* name : {"default", "gpt-2", "qwen2", "dbrx", "deepseek-llm", "gpt-4o", "smollm",
                             "k2-horizon", "spark2_5", "hy_v4", "ufakzeka", "roberta-bpe"})
        EXPECT_EQ(flags(name), 0u) << name;
}

}  // namespace
}  // namespace assay::tokenizer
