#include "tokenizer/byte_trie.h"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>

#include "tokenizer/sample.h"

namespace assay::tokenizer {
namespace {

TEST(ByteTrie, FindsTheKeysThatATextBeginsWith) {
    const std::string nul("a\0", 2);
    const ByteTrie tree({{"ab", 1}, {"abcd", 2}, {"b", 3}, {nul, 4}, {"\xFF", 5}, {"ab", 6}, {"", 7}});
    std::string found;
    tree.for_each_prefix("abcde", [&](std::size_t n_bytes, std::uint32_t value) {
        found += fmt::format("{}:{} ", n_bytes, value);
    });
    EXPECT_EQ(found, "2:6 4:2 ");  // of equal keys the last
    EXPECT_EQ(tree.longest_prefix("abc").value, 6u);
    EXPECT_EQ(tree.longest_prefix(nul + "b").value, 4u);
    EXPECT_EQ(tree.longest_prefix("\xFF\xFF").value, 5u);
    EXPECT_EQ(tree.longest_prefix("a").n_bytes, 0u);
    EXPECT_EQ(tree.longest_prefix("").n_bytes, 0u);
    EXPECT_EQ(ByteTrie({}).longest_prefix("a").n_bytes, 0u);
    EXPECT_EQ(ByteTrie({}).size(), 1u);
}

TEST(ByteTrie, NumbersNodesBreadthFirst) {
    const ByteTrie tree({{"ab", 1}, {"ac", 2}, {"b", 3}, {"abd", 4}});
    std::vector<int> depths(tree.size(), 0);
    std::uint32_t expected = 1;
    for (std::uint32_t node = 0; node < tree.size(); ++node) {
        EXPECT_EQ(tree.first_child(node), expected);
        for (std::uint32_t child = expected; child < tree.end_child(node); ++child, ++expected) {
            EXPECT_EQ(tree.child(node, tree.byte(child)), child);
            depths[child] = depths[node] + 1;
        }
    }
    EXPECT_EQ(expected, tree.size());
    EXPECT_EQ(depths, (std::vector<int>{0, 1, 1, 2, 2, 3}));
}

TEST(ByteTrie, AgreesWithAMapOnRandomKeys) {
    std::mt19937 random(1);
    const std::vector<std::string> parts{"a", "b", "\xC3\xA9", "\xC3\xA8", std::string(1, '\0')};
    for (int round = 0; round < 200; ++round) {
        std::map<std::string, std::uint32_t> map;
        std::vector<std::string> texts;
        for (unsigned i = 0; i < random() % 50; ++i) texts.push_back(random_text(random, parts, 5));
        std::vector<ByteTrie::Key> keys;
        for (const std::string& text : texts) {
            map[text] = static_cast<std::uint32_t>(keys.size());
            keys.push_back({text, map[text]});
        }
        const ByteTrie tree(keys);
        const std::string text = random_text(random, parts, 12);
        std::size_t longest = 0;
        for (std::size_t n = 1; n <= text.size(); ++n)
            if (map.count(text.substr(0, n)) > 0) longest = n;
        EXPECT_EQ(tree.longest_prefix(text).n_bytes, longest);
        const std::uint32_t value = longest > 0 ? map[text.substr(0, longest)] : ByteTrie::kNone;
        EXPECT_EQ(tree.longest_prefix(text).value, value);
    }
}

}  // namespace
}  // namespace assay::tokenizer
