#include "recipe/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "core/error.h"

namespace assay::recipe {
namespace {

using quant::TypeId;
using testing::ElementsAre;

std::vector<std::string> texts(const std::vector<Rule>& rules) {
    std::vector<std::string> lines;
    for (const Rule& rule : rules) lines.push_back(rule.text());
    return lines;
}

/// Every constraint of the syntax that both quantisers read.
void expect_safe(const Rule& rule) {
    for (const char c : rule.pattern) {
        EXPECT_FALSE(c >= 'A' && c <= 'Z') << rule.pattern;
        EXPECT_EQ(std::string(" ,=\t\n").find(c), std::string::npos) << rule.pattern;
    }
}

TEST(Rules, NumberPatternsMatchExactlyTheirNumbers) {
    std::mt19937 random(11);
    for (int trial = 0; trial < 300; ++trial) {
        std::vector<std::uint64_t> numbers;
        const std::uint64_t limit = trial % 2 == 0 ? 130 : 1200;
        for (std::uint64_t n = 0, on = random() % 2; n < limit; ++n) {
            if (random() % 9 == 0) on = 1 - on;
            if (on) numbers.push_back(n);
        }
        if (numbers.empty()) continue;
        const std::regex expression("^" + number_pattern(numbers) + "$");
        std::size_t next = 0;
        for (std::uint64_t n = 0; n < limit + 20; ++n) {
            const bool wanted = next < numbers.size() && numbers[next] == n;
            next += wanted;
            ASSERT_EQ(std::regex_search(std::to_string(n), expression), wanted)
                << n << number_pattern(numbers);
        }
    }
}

TEST(Rules, NumberPatternsAreShort) {
    const std::vector<std::uint64_t> run = {8, 9, 10, 11, 12};
    EXPECT_EQ(number_pattern(run), "([89]|1[0-2])");
    const std::vector<std::uint64_t> one = {7};
    EXPECT_EQ(number_pattern(one), "7");
}

TEST(Rules, RoundTripGivesEveryNameItsType) {
    std::mt19937 random(5);
    const std::vector<TypeId> types = {TypeId::Q4_K, TypeId::Q6_K, TypeId::IQ4_NL};
    for (int trial = 0; trial < 50; ++trial) {
        std::vector<NamedType> tensors = {{"token_types_x.weight", types[random() % 3]}};
        for (int block = 0; block < 25; ++block)
            for (const char* kind : {"attn_k", "attn_k_b", "xattn_k", "ffn_down", "ffn_down_exps"})
                if (random() % 8 != 0)
                    tensors.push_back({"blk." + std::to_string(block) + "." + kind + ".weight",
                                       types[random() % (trial % 3 + 1)]});
        const auto rules = make_rules(tensors);
        const Matcher type_of(rules);
        for (const NamedType& tensor : tensors) ASSERT_EQ(type_of(tensor.name), tensor.type) << tensor.name;
        for (const Rule& rule : rules) expect_safe(rule);
        // Dots are literal and names are matched whole.
        EXPECT_EQ(type_of("blk.3.attn_kXweight"), std::nullopt);
        EXPECT_EQ(type_of("blk.3.attn_k.weight.extra"), std::nullopt);
        EXPECT_EQ(type_of("other.blk.3.attn_k.weight"), std::nullopt);
    }
}

TEST(Rules, SharesRulesBetweenBlocksAndKinds) {
    std::vector<NamedType> tensors;
    for (int block = 0; block < 12; ++block)
        for (const char* kind : {"attn_k", "attn_v"})
            tensors.push_back({"blk." + std::to_string(block) + "." + kind + ".weight",
                               block < 2 ? TypeId::Q6_K : TypeId::Q4_K});
    EXPECT_THAT(texts(make_rules(tensors)), ElementsAre(R"(^blk\.[01]\.(attn_k|attn_v)\.weight$=q6_K)",
                                                        R"(^blk\.[0-9]+\.(attn_k|attn_v)\.weight$=q4_K)"));
}

TEST(Rules, UpperCaseNamesAreStillMatched) {
    const std::vector<NamedType> tensors = {{"blk.0.Wq=a,b.weight", TypeId::Q8_0}};
    const auto rules = make_rules(tensors);
    for (const Rule& rule : rules) expect_safe(rule);
    EXPECT_EQ(Matcher(rules)("blk.0.Wq=a,b.weight"), TypeId::Q8_0);
}

TEST(Rules, RefusesNamesThatTheSyntaxCannotTellApart) {
    const std::vector<NamedType> tensors = {{"layer.A.weight", TypeId::Q8_0},
                                            {"layer.B.weight", TypeId::Q4_0}};
    try {
        make_rules(tensors);
        FAIL() << "both names became layer\\..\\.weight";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Unsupported);
        EXPECT_EQ(error.where(), "layer.B.weight");
    }
}

TEST(Rules, SplitsBlocksOff) {
    EXPECT_EQ(split_block("blk.12.attn_k.weight").block, 12u);
    EXPECT_EQ(split_block("blk.12.attn_k.weight").kind, "attn_k.weight");
    for (const char* name :
         {"output.weight", "blk.", "blk.x.weight", "blk.3", "blk.99999999999999999999.w"}) {
        EXPECT_EQ(split_block(name).block, std::nullopt) << name;
        EXPECT_EQ(split_block(name).kind, name);
    }
}

TEST(Rules, ReadsConstraints) {
    const Keep keep = parse_keep("attn_(v|k)=Q6_k");
    EXPECT_EQ(keep.type, TypeId::Q6_K);
    EXPECT_TRUE(std::regex_search("blk.0.attn_k.weight", keep.expression));
}

TEST(Rules, RefusesBadConstraintsWithOneSentence) {
    const std::vector<std::pair<const char*, const char*>> cases = {
        {"attn_v", "EXPRESSION=TYPE"}, {"=q6_K", "EXPRESSION=TYPE"},           {"attn_v=", "unknown type"},
        {"attn_v=q9_Z", "'q9_Z'"},     {"attn_(v=q6_K", "regular expression"}, {"", "EXPRESSION=TYPE"},
    };
    for (const auto& [text, expected] : cases) {
        try {
            parse_keep(text);
            ADD_FAILURE() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::Usage);
            EXPECT_THAT(error.what(), testing::HasSubstr(expected));
        }
    }
}

}  // namespace
}  // namespace assay::recipe
