#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "documents/source.h"
#include "tokenizer/sample.h"

namespace assay::documents {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Conversation conversation_of(std::string_view line) {
    return std::get<Conversation>(read_json_lines(line, "f").at(0).content);
}
std::vector<Part> parts_of(std::string_view line) {
    return std::get<std::vector<Part>>(read_json_lines(line, "f").at(0).content);
}
std::string refused(std::string_view text) {
    return tokenizer::thrown([&] { (void)read_json_lines(text, "f"); });
}

TEST(JsonLines, Messages) {
    const Conversation c = conversation_of(
        R"({"messages": [{"role": "system", "content": "s"}, {"content": "u", "role": "user"}, {"role": "assistant",)"
        R"( "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"z": 1, "a": 2.50}}}]},)"
        R"( {"role": "tool", "content": [{"type": "text", "text": "t"}]}], "tools": [{"b": 1, "a": "d"}],)"
        R"( "chat_template_kwargs": {"k": true}, "other": 1})");
    EXPECT_THAT(c.roles, ElementsAre(Role::System, Role::User, Role::Assistant, Role::Tool));
    EXPECT_TRUE(c.has_tools);
    EXPECT_THAT(c.contents, ElementsAre("s", "u", "t"));
    EXPECT_THAT(c.tool_texts, ElementsAre("d"));
    EXPECT_THAT(c.names, testing::Contains("arguments"));
    // Members stay in their order.
    EXPECT_EQ(
        c.json,
        R"({"messages":[{"role":"system","content":"s"},{"content":"u","role":"user"},{"role":"assistant",)"
        R"("content":null,"tool_calls":[{"function":{"name":"f","arguments":{"z":1,"a":2.5}}}]},)"
        R"({"role":"tool","content":[{"type":"text","text":"t"}]}],"tools":[{"b":1,"a":"d"}],"more":{"k":true}})");
}

TEST(JsonLines, Conversations) {
    const Conversation c = conversation_of(
        R"({"system": "be", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"},)"
        R"( {"from": "function_call", "value": "c"}, {"from": "observation", "value": "d"},)"
        R"( {"role": "user", "content": "e"}], "tools": "[{\"name\": \"x\"}]"})");
    EXPECT_THAT(c.roles, ElementsAre(Role::System, Role::User, Role::Assistant, Role::Assistant, Role::Tool,
                                     Role::User));
    EXPECT_EQ(
        c.json,
        R"({"messages":[{"role":"system","content":"be"},{"role":"user","content":"a"},{"role":"assistant",)"
        R"("content":"b"},{"role":"assistant","content":"c"},{"role":"tool","content":"d"},)"
        R"({"role":"user","content":"e"}],"tools":[{"name":"x"}]})");
    EXPECT_FALSE(
        conversation_of(R"({"conversations": [{"from": "gpt", "value": "b"}], "tools": ""})").has_tools);
}

TEST(JsonLines, PromptsAndTexts) {
    const std::vector<Part> both = parts_of(R"({"prompt": "a", "completion": "b"})");
    ASSERT_EQ(both.size(), 2u);
    EXPECT_EQ(both[0].role, Role::User);
    EXPECT_EQ(both[1].role, Role::Assistant);
    EXPECT_EQ(both[1].text, "b");
    EXPECT_EQ(parts_of(R"({"text": "x\ny"})").at(0).text, "x\ny");
    EXPECT_EQ(conversation_of(R"({"prompt": [{"role": "user", "content": "a"}], "completion": [{"role":)"
                              R"( "assistant", "content": "b"}]})")
                  .json,
              R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})");
}

TEST(JsonLines, LinesAreCountedAndEmptyOnesPassedOver) {
    const auto sources = read_json_lines("\xEF\xBB\xBF\n{\"text\": \"a\"}\r\n  \n\n{\"text\": \"b\"}", "f");
    ASSERT_EQ(sources.size(), 2u);
    EXPECT_EQ(sources[0].number, 2);
    EXPECT_EQ(sources[1].number, 5);
}

TEST(JsonLines, WhatIsWrongIsSaidWithItsLine) {
    const std::pair<std::string, std::string> cases[] = {
        {"{\"text\": \"a\"}\n{\"text\": \"b", "f: line 2: the JSON breaks off after 11 bytes"},
        {R"({"text": NaN})", "f: line 1: no JSON at byte 10, where it goes on 'NaN}'"},
        {R"([{"text": "a"}])", "f: line 1: a list; expected an object"},
        {R"({"text": 1})", "f: line 1: text is a number; expected a string"},
        {"{\"text\": \"\xFF\"}", "f: line 1: invalid UTF-8 at byte 11"},
        {"{\"text\": \"\xED\xA0\x80\"}", "f: line 1: invalid UTF-8 at byte 12"},
        {R"({"text": "\ud800"})", "f: line 1: no JSON at byte 17, where it goes on '\"}'"},
        {R"({"text": 1e999})", "f: line 1: a number is too large"},
        {R"({"txt": "a"})",
         "f: line 1: an object without messages, conversations, prompt and completion, or text"},
        {R"({"messages": []})", "f: line 1: messages is empty"},
        {R"({"messages": {}})", "f: line 1: messages is an object; expected a list"},
        {R"({"messages": ["a"]})", "f: line 1: messages holds a string; expected objects"},
        {R"({"messages": [{"content": "a"}]})", "f: line 1: messages holds an object without role"},
        {R"({"messages": [{"role": 3}]})",
         "f: line 1: role of one of messages is a number; expected a string"},
        {R"({"messages": [{"role": "user", "content": 3}]})",
         "f: line 1: content of one of messages is a number; expected a string or a list of parts"},
        {R"({"messages": [{"role": "user", "content": [3]}]})",
         "f: line 1: content of one of messages holds a number; expected parts"},
        {R"({"conversations": [{"from": "alien", "value": "a"}]})",
         "f: line 1: from is 'alien'; expected human, gpt, system, tool or their like"},
        {R"({"conversations": [{"from": "gpt"}]})", "f: line 1: conversations holds an object without value"},
        {R"({"prompt": "a", "completion": 1})", "f: line 1: completion is a number; expected a string"},
        {R"({"messages": [{"role": "user"}], "tools": 1})", "f: line 1: tools is a number; expected a list"},
        {R"({"messages": [{"role": "user"}], "chat_template_kwargs": 1})",
         "f: line 1: chat_template_kwargs is a number; expected an object"},
        {R"({"text": ")" + std::string(3, '\0') + "\"}", "f: line 1: no JSON at byte 11"},
        {"", "f: no line holds a document"},
        {"\n \n", "f: no line holds a document"}};
    for (const auto& [text, sentence] : cases) EXPECT_THAT(refused(text), HasSubstr(sentence)) << text;
}

TEST(JsonLines, DeepNestingAndLongLinesAreRefused) {
    const auto nested = [](int depth) {
        return R"({"text": "a", "x": )" + std::string(static_cast<std::size_t>(depth), '[') +
               std::string(static_cast<std::size_t>(depth), ']') + "}";
    };
    EXPECT_EQ(refused(nested(kDeepestNesting - 2)), "nothing");
    EXPECT_EQ(refused(nested(kDeepestNesting + 2)), "f: line 1: nested more than 64 deep");
    EXPECT_EQ(refused(nested(1'000'000)), "f: line 1: nested more than 64 deep");
    EXPECT_THAT(refused(R"({"text": ")" + std::string(kLongestLine, 'a') + "\"}"),
                HasSubstr("f: line 1: 67108876 bytes are more than a document may have"));
}

TEST(JsonLines, EveryTruncationIsAnswered) {
    const std::string line =
        R"({"messages": [{"role": "user", "content": "a\u00e9"}], "tools": [{"a": [1.5, true, null]}]})";
    for (std::size_t n = 1; n < line.size(); ++n)
        EXPECT_THAT(refused(line.substr(0, n)), HasSubstr("f: line 1: the JSON breaks off")) << n;
}

TEST(JsonLines, AreRecognised) {
    EXPECT_TRUE(looks_like_json_lines("", "a.jsonl"));
    EXPECT_TRUE(looks_like_json_lines("nothing", "a.ndjson"));
    EXPECT_TRUE(looks_like_json_lines("\xEF\xBB\xBF \n{\"text\": \"a\"}\n", "a.txt"));
    EXPECT_TRUE(looks_like_json_lines(R"({"messages": [{"a": {"b": []}}]})", "a"));
    EXPECT_FALSE(looks_like_json_lines("A text.", "a.txt"));
    EXPECT_FALSE(looks_like_json_lines("{", "a.txt"));
    EXPECT_FALSE(looks_like_json_lines(R"({"other": 1})", "a.json"));
    EXPECT_FALSE(looks_like_json_lines(R"({"prompt": 1})", "a.json"));
    EXPECT_FALSE(looks_like_json_lines(R"({"text": 1} and more)", "a.txt"));
    EXPECT_FALSE(looks_like_json_lines(R"([{"text": 1}])", "a.json"));
}

TEST(Split, PiecesBetweenMarks) {
    const auto sources = split_text("a\n---\n\n---\nb\n---\nc", "\n---\n", "f");
    ASSERT_EQ(sources.size(), 3u);
    EXPECT_EQ(std::get<std::vector<Part>>(sources[0].content).at(0).text, "a");
    EXPECT_EQ(sources[1].number, 3) << "an empty one has a number too";
    EXPECT_EQ(std::get<std::vector<Part>>(sources[1].content).at(0).text, "b");
}

}  // namespace
}  // namespace assay::documents
