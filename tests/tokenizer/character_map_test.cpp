#include "tokenizer/character_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/sample.h"
#include "tokenizer/sample_map.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

constexpr const char* kKey = "tokenizer.ggml.precompiled_charsmap";

std::string rules_of(gguf::Value value) {
    gguf::Metadata metadata("sample");
    metadata.set(kKey, std::move(value));
    try {
        std::string all;
        for (const CharacterRule& rule : read_character_map(metadata)) all += rule.from + ">" + rule.to + " ";
        return all;
    } catch (const Error& error) {
        return error.what();
    }
}

std::uint32_t in_bytes(const std::vector<std::uint32_t>& nodes) {
    return static_cast<std::uint32_t>(4 * nodes.size());
}

TEST(CharacterMap, ReadsEveryRule) {
    SampleMap map;
    map.add("a", "x");
    map.add("ab", "");
    map.add("\xEF\xBC\xA1", "A");
    map.add("\xFF", "yz");
    EXPECT_EQ(rules_of(map_value(map)), "a>x ab> \xEF\xBC\xA1>A \xFF>yz ");
    gguf::Value bytes = map_value(map);
    bytes.element = gguf::ValueType::I8;
    for (std::int64_t& byte : std::get<gguf::Integers>(bytes.data)) byte = static_cast<std::int8_t>(byte);
    EXPECT_EQ(rules_of(bytes), "a>x ab> \xEF\xBC\xA1>A \xFF>yz ");
    EXPECT_TRUE(read_character_map(gguf::Metadata("sample")).empty());
}

TEST(CharacterMap, RefusesWhatIsNoMap) {
    EXPECT_THAT(rules_of(gguf::text("abc")), HasSubstr(kKey));
    EXPECT_THAT(rules_of(gguf::i32s({1, 2, 3, 4, 5})), HasSubstr("expected bytes"));
    EXPECT_THAT(rules_of({gguf::ValueType::Array, gguf::ValueType::U8, gguf::Integers{1, 2, 3}}),
                HasSubstr("has 3 bytes, too few for its header"));
    const std::vector<std::uint32_t> nodes(256, 0x80000000);
    for (const std::uint32_t announced : {in_bytes(nodes) + 4, in_bytes(nodes) - 1, 0xFFFFFFFFu, 0xFFFFFFFCu})
        EXPECT_THAT(rules_of(map_value(announced, nodes, "")), HasSubstr("expected a multiple of 4"));
    EXPECT_THAT(rules_of(map_value(0, {}, "")), HasSubstr("has no nodes"));
    EXPECT_THAT(rules_of(map_value(in_bytes(nodes), nodes, "x")), HasSubstr("ends inside a text"));
    EXPECT_EQ(rules_of(map_value(in_bytes(nodes), nodes, "")), "");
}

TEST(CharacterMap, SurvivesEveryTruncation) {
    SampleMap map;
    map.add("ab", "xyz");
    const gguf::Integers whole = std::get<gguf::Integers>(map_value(map).data);
    for (std::size_t n = 0; n < whole.size(); ++n) {
        const gguf::Integers part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
        EXPECT_THAT(rules_of({gguf::ValueType::Array, gguf::ValueType::U8, part}), HasSubstr(kKey)) << n;
    }
}

TEST(CharacterMap, RefusesWhatLeadsOutside) {
    SampleMap map;
    map.add("a", "x");
    std::vector<std::uint32_t> nodes = map.nodes();
    nodes[256 ^ 'a'] = SampleMap::reference(1 << 22) | 'a' | 0x100;
    EXPECT_THAT(rules_of(map_value(in_bytes(nodes), nodes, map.texts())), HasSubstr("leads to node"));
    nodes = map.nodes();
    nodes[512] = 0x80000000 | 2;
    EXPECT_EQ(rules_of(map_value(in_bytes(nodes), nodes, map.texts())),
              fmt::format("sample: {} puts in the text at byte 2 of 2", kKey));
    nodes[512] = 0xFFFFFFFF;
    EXPECT_THAT(rules_of(map_value(in_bytes(nodes), nodes, map.texts())), HasSubstr("puts in the text"));
    map.add("b", std::string(1025, 'x'));
    EXPECT_THAT(rules_of(map_value(map)), HasSubstr("puts in a text of 1025 bytes"));
}

TEST(CharacterMap, RefusesCirclesAndRulesWithoutEnd) {
    SampleMap map;
    map.add("a", "x");
    std::vector<std::uint32_t> nodes = map.nodes();
    const std::uint32_t a = 256 ^ 'a';
    nodes[a] = SampleMap::reference(a ^ 256) | 'a';  // its children are the root's
    EXPECT_THAT(rules_of(map_value(in_bytes(nodes), nodes, map.texts())), HasSubstr("runs in circles"));
    for (std::uint32_t byte = 1; byte < 256; ++byte) nodes[256 ^ byte] = SampleMap::reference(byte) | byte;
    EXPECT_THAT(rules_of(map_value(in_bytes(nodes), nodes, map.texts())), HasSubstr("runs in circles"));
    SampleMap deep;
    deep.add(std::string(128, 'a'), "x");
    EXPECT_EQ(rules_of(map_value(deep)), std::string(128, 'a') + ">x ");
    deep.add(std::string(129, 'a'), "x");
    EXPECT_THAT(rules_of(map_value(deep)), HasSubstr("a rule for a text of more than 128 bytes"));
}

// Forty nodes, each with two ways to the next: 2^40 texts in a small map without circles.
TEST(CharacterMap, RefusesMoreTextsThanAnyMapHas) {
    std::vector<std::uint32_t> nodes(256 * 42, 0x80000000);
    nodes[0] = SampleMap::reference(256);
    for (std::uint32_t level = 1; level <= 40; ++level)
        for (const std::uint32_t byte : {1u, 2u}) {
            const std::uint32_t index = 256 * level ^ byte;
            nodes[index] = SampleMap::reference(index ^ 256 * (level + 1)) | byte;
        }
    EXPECT_THAT(rules_of(map_value(in_bytes(nodes), nodes, "")), HasSubstr("nodes below its root"));
}

}  // namespace
}  // namespace assay::tokenizer
