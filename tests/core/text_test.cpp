#include "core/text.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Printable, LeavesWhatCanBeSeen) {
    for (const std::string text : {"blk.0.attn_q.weight", "\xC3\xA9 \xE6\xBC\xA2",
                                   "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80", "back\\slash", ""})
        EXPECT_EQ(printable(text), text);
}

TEST(Printable, NumbersControlCharacters) {
    EXPECT_EQ(printable("a\x1b[31m\r\n\t\x7f"), "a\\u001b[31m\\u000d\\u000a\\u0009\\u007f");
    EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\u0000x");
    EXPECT_EQ(printable("\xC2\x9B"
                        "31m"),
              "\\u009b31m");  // CSI in one character
    EXPECT_EQ(printable("\xE2\x80\xAE"
                        "gpj"),
              "\\u202egpj");  // writes to the left
    EXPECT_EQ(printable("\xE2\x80\xA8\xE2\x81\xA9"), "\\u2028\\u2069");
}

TEST(Printable, KeepsWhatIsAskedFor) { EXPECT_EQ(printable("a\tb\n\x1b", "\n\t"), "a\tb\n\\u001b"); }

TEST(Printable, NumbersBytesThatAreNoText) {
    EXPECT_EQ(printable("a\xff\x9b"), "a\\xff\\x9b");
    EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");  // half of a pair
}

TEST(DecodeUtf8, RefusesWhatFewerBytesWouldSay) {
    for (const std::string text :
         {"\xC0\xA9", "\xC1\xBF", "\xE0\x80\xA9", "\xE0\x9F\xBF", "\xF0\x80\x80\xA9", "\xF0\x8F\xBF\xBF"})
        EXPECT_FALSE(decode_utf8(text, 0).valid) << printable(text);
    for (const std::string text :
         {"\xC2\x80", "\xE0\xA0\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "\xED\xA0\x80"}) {
        EXPECT_TRUE(decode_utf8(text, 0).valid) << printable(text);
        EXPECT_EQ(decode_utf8(text, 0).n_bytes, text.size());
    }
}

TEST(DecodeUtf8, RefusesWhatIsIncompleteOrTooLarge) {
    for (const std::string text :
         {"\xE2\x80", "\x80", "\xFF", "\xF8\x88\x80\x80\x80", "\xF4\x90\x80\x80", "\xE2\x28\xA1"}) {
        EXPECT_FALSE(decode_utf8(text, 0).valid) << printable(text);
        EXPECT_EQ(decode_utf8(text, 0).n_bytes, 1u);
        EXPECT_EQ(decode_utf8(text, 0).code_point, 0xFFFDu);
    }
}

}  // namespace
}  // namespace assay
