#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/sample.h"

namespace assay::tokenizer {
namespace {

using ::testing::HasSubstr;

std::vector<Token> encoded(const gguf::Metadata& metadata, std::string_view text, Encoding how = kPlain) {
    return make_tokenizer(metadata)->encode(text, how);
}

using Ids = std::vector<Token>;

TEST(Rwkv, TakesTheLongestTokenAgainAndAgain) {
    const auto metadata = sample_metadata("rwkv", {{"<end>"}, {"a"}, {"b"}, {"ab"}, {"abcd"}, {"c"}});
    EXPECT_EQ(encoded(metadata, "abcab"), (Ids{3, 5, 3}));
    EXPECT_EQ(encoded(metadata, "abcda"), (Ids{4, 1}));
    EXPECT_EQ(encoded(metadata, ""), Ids{});
}

TEST(Rwkv, TextsAreEscaped) {
    const auto metadata = sample_metadata("rwkv", {{"\\n"},
                                                   {"\\t"},
                                                   {"\\r"},
                                                   {"\\xe4\\xB8"},
                                                   {"\\xad"},
                                                   {"\\\\"},
                                                   {"\\'"},
                                                   {"a\\x00b"},
                                                   {"\\xzz"},
                                                   {"c\\"},
                                                   {"\\x4"}});
    EXPECT_EQ(encoded(metadata, "\n\t\r\xE4\xB8\xAD\\'"), (Ids{0, 1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(encoded(metadata, std::string("a\0b", 3)), Ids{7});
    EXPECT_EQ(encoded(metadata, "xzzc\\x4"), (Ids{8, 9, 10}));
}

TEST(Rwkv, NeverFramesAndNeedsAnUnknownTokenOnlyForUnknownBytes) {
    gguf::Metadata metadata = sample_metadata("rwkv", {{"a"}, {"bcd"}, {"<e>", 0, kTypeControl}});
    metadata.set("tokenizer.ggml.add_bos_token", gguf::boolean(true));
    metadata.set("tokenizer.ggml.add_eos_token", gguf::boolean(true));
    EXPECT_EQ(encoded(metadata, "a<e>", {true, true}), (Ids{0, 2}));
    EXPECT_THAT(thrown([&] { encoded(metadata, "bc"); }), HasSubstr("names no token for what is unknown"));
    metadata.set("tokenizer.ggml.unknown_token_id", gguf::u32(2));
    EXPECT_EQ(encoded(metadata, "bca"), (Ids{2, 2, 0}));
}

TEST(Rwkv, LongTextsTakeLinearTime) {
    const auto tokenizer = make_tokenizer(sample_metadata("rwkv", {{"a"}, {std::string(32, 'a')}}));
    EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a'), kPlain).size(), 1u << 15);
}

}  // namespace
}  // namespace assay::tokenizer
