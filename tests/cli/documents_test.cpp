// The program on documents, as users run it.
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/shell.h"
#include "support/fixture.h"

namespace assay::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

class DocumentsProgram : public testing::Test {
  protected:
    static void SetUpTestSuite() { fixture_ = new test::Fixture("llama-dense"); }
    static void TearDownTestSuite() {
        delete fixture_;
        fixture_ = nullptr;
    }

    /// `$RUN` is the program with the model and d.jsonl, `$SEE` assay text with both.
    Outcome run(const std::string& line) const {
        const std::string options = fmt::format("-m {} -f d.jsonl -c 64", fixture_->model().string());
        return shell(
            folder_,
            fmt::format("RUN=\"$ASSAY {} --device cpu --precision f32 -t 2\"; SEE=\"$ASSAY text {}\"; {}",
                        options, options, line));
    }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(folder_ / name, std::ios::binary) << text;
    }

    static test::Fixture* fixture_;
    test::TempDir folder_;
};

test::Fixture* DocumentsProgram::fixture_ = nullptr;

constexpr const char* kConversations =
    R"({"messages": [{"role": "user", "content": "How many boats went out?"}, {"role": "assistant", "content": "Seven."}]})"
    "\n"
    R"({"messages": [{"role": "user", "content": "Море и ветер"}, {"role": "assistant", "content": "Yes, both."}]})"
    "\n"
    R"({"text": "The sea was calm, and the boats went out before it was light."})"
    "\n";
constexpr const char* kTemplate = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}";

TEST_F(DocumentsProgram, CountDocumentsAsChunks) {
    write("d.jsonl", kConversations);
    write("t.jinja", kTemplate);
    const Outcome o = run("$RUN --chat-template t.jinja --weights user=0.25 -o m.gguf");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(o.out, MatchesRegex("\\[1\\][0-9.]+,\\[2\\][0-9.]+,\\[3\\][0-9.]+,\n"
                                    "Final estimate: PPL = [0-9.]+ \\+/- [0-9.]+\n"
                                    "assistant tokens: PPL = [0-9.]+ \\+/- [0-9.]+\n"));
    EXPECT_THAT(o.err, HasSubstr("JSON lines: 3 documents (2 conversations) in 3 chunks\n"));
    const Outcome json = run("$RUN --chat-template t.jinja --json --no-checkpoint");
    EXPECT_EQ(nlohmann::json::parse(json.out).at("roles").size(), 4u) << json.out;
    // A text of the same bytes.
    const Outcome bytes = run("$ASSAY text -m $(echo $RUN | cut -d' ' -f3) -bf d.jsonl -c 64");
    EXPECT_THAT(bytes.out, HasSubstr("one text\n"));
}

TEST_F(DocumentsProgram, AreSeenBeforeTheyAreRun) {
    write("d.jsonl", kConversations);
    write("t.jinja", kTemplate);
    const Outcome o = run("$SEE --chat-template t.jinja");
    EXPECT_EQ(o.code, 0) << o.err;
    EXPECT_THAT(o.out,
                AllOf(HasSubstr("JSON lines: 3 documents (2 conversations) in 3 chunks\n"),
                      HasSubstr("chunks      3 of at most 64 tokens\n"), HasSubstr("roles       text "),
                      HasSubstr("Latin "), HasSubstr("Cyrillic "), HasSubstr("lengths     min "),
                      HasSubstr("special     no special tokens are written in contents\n")));
    const auto json = nlohmann::json::parse(run("$SEE --chat-template t.jinja --json").out);
    EXPECT_EQ(json.at("documents"), 3);
    EXPECT_EQ(json.at("form"), "json-lines");
    std::int64_t tokens = 0;
    for (const auto& [role, n] : json.at("tokens_by_role").items()) tokens += n.get<std::int64_t>();
    EXPECT_EQ(json.at("tokens"), tokens);
    const Outcome split = run("$SEE -f t.jinja --split-on ' {'");
    EXPECT_THAT(split.out, HasSubstr("pieces of text: 2 documents in 2 chunks\n"));
}

TEST_F(DocumentsProgram, HostileLinesGetOneSentence) {
    const std::pair<std::string, std::string> cases[] = {
        {"{\"text\": \"a\"}\n{\"text\": ", "assay: d.jsonl: line 2: the JSON breaks off after 9 bytes\n"},
        {"{\"text\": \"\xC3(\"}", "assay: d.jsonl: line 1: invalid UTF-8 at byte 12\n"},
        {"", "assay: d.jsonl: the text is empty\n"},
        {"\xEF\xBB\xBF\n", "assay: d.jsonl: no line holds a document\n"},
        {kConversations,
         "assay: d.jsonl: line 1 is a conversation, and the model has no chat template "
         "(tokenizer.chat_template); --chat-template FILE gives one\n"}};
    for (const auto& [text, sentence] : cases) {
        write("d.jsonl", text);
        for (const char* command : {"$SEE", "$RUN --log-disable"}) {
            const Outcome o = run(command);
            EXPECT_EQ(o.code, 1) << text;
            EXPECT_EQ(o.out, "");
            EXPECT_THAT(o.err, testing::EndsWith(sentence)) << text;
        }
    }
}

}  // namespace
}  // namespace assay::cli
