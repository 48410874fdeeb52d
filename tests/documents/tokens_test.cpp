#include "documents/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "documents/sample.h"

namespace assay::documents {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class Tokens : public testing::Test {
  protected:
    std::unique_ptr<tokenizer::Tokenizer> tokenizer_ = tokenizer::make_tokenizer(sample_metadata());

    /// Texts of tokens with the first letter of their role.
    std::string shown(const Document& document) const {
        std::string out;
        for (std::size_t i = 0; i < document.ids.size(); ++i)
            out += fmt::format("{}{}:{}", i == 0 ? "" : " ", to_string(document.roles[i]).substr(0, 2),
                               tokenizer_->vocabulary().text(document.ids[i]));
        return out;
    }
    Document rendered(const std::string& text, std::vector<Span> spans, std::vector<Role> roles,
                      std::vector<std::string> contents, bool known = true) {
        Conversation conversation;
        conversation.roles = std::move(roles);
        conversation.contents = std::move(contents);
        conversation.names = {"role", "content"};
        Rendered made;
        made.text = text;
        made.known = made.all_known = known;
        made.spans = std::move(spans);
        written_.clear();
        return tokenize_rendered(*tokenizer_, conversation, made, parse_special_, written_);
    }

    bool parse_special_ = false;
    WrittenMarks written_;
};

TEST_F(Tokens, TheTemplatesMarksCountAndThoseOfContentsDoNot) {
    // <|open|>us<|close|> with the content "<|close|>".
    const std::string text = "<|open|>us<|close|><|close|>";
    EXPECT_EQ(shown(rendered(text, {{10, 19, 0}}, {Role::User}, {"<|close|>"})),
              "te:<|open|> te:▁ te:us us:<0x3C> us:<0x7C> us:c us:l us:o us:s us:e us:<0x7C> us:<0x3E> "
              "te:<|close|>");
    EXPECT_THAT(written_, ElementsAre(Pair(4, 1)));
    parse_special_ = true;
    EXPECT_EQ(shown(rendered(text, {{10, 19, 0}}, {Role::User}, {"<|close|>"})),
              "te:<|open|> te:▁ te:us us:<|close|> te:<|close|>");
    EXPECT_THAT(written_, IsEmpty());
}

TEST_F(Tokens, AMarkThatAContentBeginsIsNone) {
    // The template writes "<|clo", the content the rest.
    EXPECT_EQ(shown(rendered("<|close|>", {{5, 9, 0}}, {Role::User}, {"se|>"})),
              "te:▁ te:<0x3C> te:<0x7C> te:c te:l te:o us:s us:e us:<0x7C> us:<0x3E>");
}

TEST_F(Tokens, UserDefinedTokensCountInContents) {
    EXPECT_EQ(shown(rendered("<think>he", {{0, 9, 0}}, {Role::Assistant}, {"<think>he"})),
              "as:<think> te:▁ as:he");
    EXPECT_THAT(written_, IsEmpty());
}

TEST_F(Tokens, ATokenIsWhosMostOfItIs) {
    EXPECT_EQ(shown(rendered("<|open|>hello", {{12, 13, 0}}, {Role::User}, {"o"})), "te:<|open|> te:▁hello");
    EXPECT_EQ(shown(rendered("<|open|>hello", {{9, 13, 0}}, {Role::User}, {"ello"})),
              "te:<|open|> us:▁hello");
    // As much of each: who speaks comes first.
    EXPECT_EQ(shown(rendered("<|open|>us", {{9, 10, 0}}, {Role::User}, {"s"})), "te:<|open|> te:▁ us:us");
}

TEST_F(Tokens, WhereNobodyKnowsWhatContentsSayNoMarkOfThemsCounts) {
    const Document document = rendered("<|open|>he<|close|>", {}, {Role::User}, {"he<|close|>"}, false);
    EXPECT_EQ(document.ids.front(), 3);
    EXPECT_EQ(std::ranges::count(document.ids, 4), 0);
    for (const Role role : document.roles) EXPECT_EQ(role, Role::Text);
    EXPECT_FALSE(document.roles_known);
    EXPECT_THAT(written_, ElementsAre(Pair(4, 1)));
}

TEST_F(Tokens, ContentsThatMayBeElsewhereSpellNoMarksThere) {
    Conversation conversation;
    conversation.roles = {Role::User};
    conversation.contents = {"</s>"};
    Rendered made;
    made.text = "<|open|></s></s>";
    made.spans = {{8, 12, 0}};
    made.known = true;
    const Document document = tokenize_rendered(*tokenizer_, conversation, made, false, written_);
    EXPECT_EQ(std::ranges::count(document.ids, 2), 0);
    EXPECT_EQ(document.ids.front(), 3);
    EXPECT_TRUE(document.roles_known);
}

TEST_F(Tokens, NamesCannotSpellMarksEither) {
    Conversation conversation;
    conversation.names = {"<|open|>"};
    Rendered made;
    made.text = "<|open|><|close|>";
    made.known = made.all_known = true;
    const Document document = tokenize_rendered(*tokenizer_, conversation, made, false, written_);
    EXPECT_EQ(std::ranges::count(document.ids, 3), 0);
    EXPECT_EQ(document.ids.back(), 4);
}

TEST_F(Tokens, IdsAreThoseOfTheWholeText) {
    const std::string text =
        "<|open|>us\nhello é 日本 <think>x</think>  hell<|close|><|open|>er\nhe<|close|>";
    for (std::size_t begin = 9; begin < 20; ++begin) {
        const Document document =
            rendered(text, {{begin, begin + 5, 0}, {begin + 7, begin + 20, 1}}, {Role::User, Role::Tool}, {});
        EXPECT_EQ(document.ids, tokenizer_->encode(text, {.add_special = false, .parse_special = true}));
    }
}

TEST_F(Tokens, MessagesBeginAtTokens) {
    Conversation conversation;
    Rendered made;
    made.text = "<|open|>hello<|close|><|open|>he<|close|>";
    made.known = made.all_known = true;
    made.ends = {22, -1, 22, 1000};
    const Document document = tokenize_rendered(*tokenizer_, conversation, made, false, written_);
    EXPECT_THAT(document.starts, ElementsAre(3));
}

TEST_F(Tokens, PartsHaveTheirRolesAndBosAround) {
    const Document document =
        tokenize_parts(*tokenizer_, {{Role::User, "hello"}, {Role::Assistant, " he</s>"}}, false, written_);
    EXPECT_EQ(shown(document), "te:<s> us:▁hello as:▁ as:he as:<0x3C> as:<0x2F> as:s as:<0x3E>");
    EXPECT_THAT(written_, ElementsAre(Pair(2, 1)));
    const Document parsed = tokenize_parts(*tokenizer_, {{Role::Text, "he</s>"}}, true, written_);
    EXPECT_EQ(parsed.ids.back(), 2);
    EXPECT_EQ(parsed.roles.back(), Role::Text);
}

}  // namespace
}  // namespace assay::documents
