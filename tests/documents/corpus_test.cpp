#include "documents/corpus.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "documents/sample.h"
#include "support/temp_dir.h"

namespace assay::documents {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Documents : public testing::Test {
  protected:
    Corpus make(const std::string& text, std::int64_t n_ctx = 64, const std::string& name = "f.jsonl") const {
        const gguf::Metadata metadata = sample_metadata(template_);
        return make_corpus(text, name, metadata, *tokenizer::make_tokenizer(metadata), options_, false,
                           n_ctx);
    }
    std::string refused(const std::string& text) const {
        return tokenizer::thrown([&] { (void)make(text); });
    }
    static std::vector<std::size_t> lengths(const Corpus& corpus) {
        std::vector<std::size_t> out;
        for (const Chunk& chunk : corpus.chunks) out.push_back(corpus.ids(chunk, 1).size());
        return out;
    }

    std::string template_ = kMarkedTemplate;
    Options options_;
};

std::string talk(const std::string& said, int turns = 1) {
    std::string messages;
    for (int i = 0; i < turns; ++i)
        messages += (i > 0 ? ", " : "") + (R"({"role": "user", "content": ")" + said + R"("})");
    return R"({"messages": [)" + messages + "]}\n";
}

TEST_F(Documents, AreChunksOfTheirOwn) {
    const Corpus corpus = make(talk("hello") +
                               R"({"text": "hello"})"
                               "\n" +
                               talk("hello") + R"({"prompt": "he", "completion": "llo"})");
    EXPECT_THAT(lengths(corpus), ElementsAre(7, 2, 7, 2));
    EXPECT_EQ(corpus.counts.documents, 4);
    EXPECT_EQ(corpus.counts.conversations, 2);
    EXPECT_EQ(corpus.counts.duplicates, 2) << "the words of a prompt and of a text are the same";
    EXPECT_EQ(corpus.documents[1].number, 2);
    EXPECT_EQ(describe(corpus),
              "JSON lines: 4 documents (2 conversations) in 4 chunks, 2 the same as an earlier one");
}

TEST_F(Documents, LongOnesAreCutBetweenMessages) {
    // A message has 7 tokens: <|open|> ▁ us er \n hello <|close|>.
    const Corpus corpus = make(talk("hello", 5), 16);
    const std::size_t message = corpus.documents[0].ids.size() / 5;
    EXPECT_THAT(lengths(corpus), ElementsAre(2 * message, 2 * message, message));
    EXPECT_EQ(corpus.counts.cut, 1);
    EXPECT_EQ(corpus.counts.pieces, 3);
    EXPECT_EQ(corpus.counts.cut_within, 0);
    EXPECT_THAT(describe(corpus),
                HasSubstr("1 document (1 conversation) in 3 chunks, 1 cut into 3 between messages"));
    const Corpus within = make(talk("abcdefghijklmnopqrstuvwxyz"), 16);
    EXPECT_EQ(within.counts.cut_within, 1);
    EXPECT_THAT(describe(within), HasSubstr("(1 of them within a message)"));
}

TEST_F(Documents, PiecesBeginWithBosWhereTheDocumentDoes) {
    const Corpus corpus = make(R"({"text": "abcdefghijklmnopqrstuvwxyz"})", 10);
    ASSERT_EQ(corpus.chunks.size(), 3u);
    std::vector<tokenizer::Token> all;
    for (const Chunk& chunk : corpus.chunks) {
        const auto ids = corpus.ids(chunk, 1);
        EXPECT_EQ(ids.front(), 1);
        EXPECT_LE(ids.size(), 10u);
        EXPECT_EQ(corpus.roles(chunk).size(), ids.size());
        EXPECT_EQ(corpus.roles(chunk).front(), Role::Template);
        all.insert(all.end(), ids.begin() + (all.empty() ? 0 : 1), ids.end());
    }
    EXPECT_EQ(all, corpus.documents[0].ids) << "no token is lost";
}

TEST_F(Documents, WhatTheTemplateRefusesIsDroppedAndSaid) {
    template_ =
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + template_;
    const std::string system = R"({"messages": [{"role": "system", "content": "a"}]})"
                               "\n";
    const Corpus corpus = make(talk("he") + system + system);
    EXPECT_EQ(corpus.counts.refused, 2);
    EXPECT_THAT(describe(corpus),
                HasSubstr("2 dropped since the chat template refuses them (line 2: no system)"));
    EXPECT_EQ(
        refused(system + system),
        "f.jsonl: line 1: the chat template refuses this conversation, as it does all others: no system");
}

TEST_F(Documents, OneTokenIsNoDocument) {
    const Corpus corpus = make(R"({"text": ""})"
                               "\n"
                               R"({"text": "hello"})");
    EXPECT_EQ(corpus.counts.short_ones, 1);
    EXPECT_EQ(corpus.chunks.size(), 1u);
    EXPECT_EQ(refused(R"({"text": ""})"), "f.jsonl: all documents are shorter than two tokens");
}

TEST_F(Documents, AConversationNeedsATemplate) {
    template_.clear();
    EXPECT_EQ(make(R"({"text": "hello"})").chunks.size(), 1u);
    EXPECT_EQ(
        refused(R"({"text": "hello"})"
                "\n" +
                talk("he")),
        "f.jsonl: line 2 is a conversation, and the model has no chat template (tokenizer.chat_template); "
        "--chat-template FILE gives one");
    const test::TempDir folder;
    options_.chat_template = folder / "t.jinja";
    const std::string text = "{{ messages[0].content }}";
    write_file_atomically(options_.chat_template, std::as_bytes(std::span(text)));
    EXPECT_THAT(lengths(make(talk("hello er"))), ElementsAre(3));
}

TEST_F(Documents, AreSplitFromAText) {
    options_.split_on = "--";
    const Corpus corpus = make("hello--\n--he--", 64, "f.txt");
    EXPECT_EQ(corpus.form, Form::Split);
    EXPECT_THAT(lengths(corpus), ElementsAre(2, 3));
    EXPECT_EQ(describe(corpus), "pieces of text: 2 documents in 2 chunks");
    EXPECT_EQ(refused("hello"), "f.jsonl: the text has no '--' to be split on (--split-on)");
    EXPECT_EQ(refused(" -- "), "f.jsonl: nothing stands between the marks '--'");
}

TEST_F(Documents, FormsAreTold) {
    EXPECT_EQ(form_of("a", "a.jsonl", {}), Form::JsonLines);
    EXPECT_EQ(form_of("a", "a.txt", {}), Form::Whole);
    options_.may_be_json_lines = false;
    EXPECT_EQ(form_of("a", "a.jsonl", options_), Form::Whole);
    options_.split_on = "x";
    EXPECT_EQ(form_of("a", "a.jsonl", options_), Form::Split);
    options_ = {};
    EXPECT_THAT(tokenizer::thrown([&] { (void)make(talk("a"), 3); }),
                HasSubstr("--ctx-size: 3 tokens are too few for documents"));
}

}  // namespace
}  // namespace assay::documents
