#include "documents/script.h"

#include <gtest/gtest.h>

#include "core/text.h"

namespace assay::documents {
namespace {

TEST(Script, OfSomeLetters) {
    const std::pair<std::string_view, Script> cases[] = {
        {"e", Script::Latin},   {"ß", Script::Latin},    {"ω", Script::Greek},      {"ж", Script::Cyrillic},
        {"א", Script::Hebrew},  {"ع", Script::Arabic},   {"अ", Script::Devanagari}, {"ก", Script::Thai},
        {"한", Script::Hangul}, {"あ", Script::Kana},    {"カ", Script::Kana},      {"漢", Script::Han},
        {"𠀀", Script::Han},    {"ა", Script::Georgian}, {"7", Script::None},       {" ", Script::None},
        {"×", Script::None},    {"—", Script::None},     {"😀", Script::None},       {"。", Script::None}};
    for (const auto& [letter, script] : cases)
        EXPECT_EQ(script_of(decode_utf8(letter, 0).code_point), script) << letter;
}

TEST(Script, BlocksRiseAndHaveNames) {
    Script last = Script::None;
    int changes = 0;
    for (char32_t c = 0; c < 0x110000; ++c) {
        const Script script = script_of(c);
        EXPECT_FALSE(to_string(script).empty());
        changes += script != last;
        last = script;
    }
    EXPECT_GT(changes, 80);
    EXPECT_EQ(to_string(Script::Other), "other");
    EXPECT_EQ(to_string(Script::Han), "Han");
}

TEST(Script, OfATokenIsThatOfItsFirstLetter) {
    const std::string_view text = " 2 ж漢 x";
    EXPECT_EQ(script_of(text, 0, 3), Script::None);
    EXPECT_EQ(script_of(text, 0, text.size()), Script::Cyrillic);
    EXPECT_EQ(script_of(text, 5, 8), Script::Han);
    EXPECT_EQ(script_of(text, 6, 7), Script::Han) << "a byte within a character";
    EXPECT_EQ(script_of(text, 8, 8), Script::None);
    EXPECT_EQ(script_of("\xFF\xFE"
                        "a",
                        0, 3),
              Script::Latin);
}

}  // namespace
}  // namespace assay::documents
