// Chat templates, against what the library `transformers` makes of them
// (tests/golden/documents/make_golden.py), and what they may not do.
#include "documents/renderer.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "documents/helper_script.h"
#include "documents/sample.h"

namespace assay::documents {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;

const fs::path kGolden = fs::path(ASSAY_GOLDEN_DIR) / "documents";

RenderOptions options() {
    RenderOptions options;
    options.now = "2026-11-27T00:00:00";
    options.limit = std::chrono::milliseconds(60'000);  // the machine may be busy
    return options;
}

Renderer renderer_of(const std::string& text, const RenderOptions& how = options()) {
    return Renderer({{{"default", text}}, "model.gguf", {{"bos_token", "<s>"}, {"eos_token", "</s>"}}}, how);
}

Conversation conversation(const std::string& line) {
    return std::get<Conversation>(read_json_lines(line, "f").at(0).content);
}

Conversation said(std::vector<std::pair<std::string, std::string>> messages) {
    Json json;
    for (const auto& [role, content] : messages)
        json["messages"].push_back({{"role", role}, {"content", content}});
    return conversation(json.dump());
}

/// The text with the stretches of the spans in brackets, their owner before them.
std::string shown(const Rendered& rendered) {
    std::string out;
    std::size_t done = 0;
    for (const Span& span : rendered.spans) {
        out += rendered.text.substr(done, span.begin - done);
        out += fmt::format("[{}:{}]", span.owner, rendered.text.substr(span.begin, span.end - span.begin));
        done = span.end;
    }
    return out + rendered.text.substr(done);
}

TEST(Renderer, RendersAsTransformersDoes) {
    const Json golden = Json::parse(read_file(kGolden / "rendered.json"));
    const auto sources = read_json_lines(read_file(kGolden / "conversations.jsonl"), "conversations.jsonl");
    EXPECT_EQ(golden.size(), 6u);
    for (const auto& [name, texts] : golden.items()) {
        Renderer renderer = renderer_of(read_file(kGolden / (name + ".jinja")));
        ASSERT_EQ(texts.size(), sources.size());
        for (std::size_t i = 0; i < sources.size(); ++i) {
            SCOPED_TRACE(fmt::format("{}, line {}", name, i + 1));
            const Rendered rendered = renderer.render(std::get<Conversation>(sources[i].content), false, "f");
            if (texts[i].is_null()) {
                EXPECT_NE(rendered.refusal, "");
                continue;
            }
            EXPECT_EQ(rendered.refusal, "");
            EXPECT_EQ(rendered.text, texts[i].get<std::string>());
            // Where a template leaves out what it has compared with a word, nobody knows.
            EXPECT_EQ(rendered.known, name != "dated" || i != 4);
            EXPECT_EQ(rendered.all_known, rendered.known);
            EXPECT_EQ(rendered.dated, name == "dated");
        }
    }
}

TEST(Renderer, TellsWhoseTheCharactersAre) {
    Renderer marked = renderer_of(kMarkedTemplate);
    EXPECT_EQ(shown(marked.render(said({{"user", "Hé <b>you</b>\n"}, {"assistant", " 日本 "}}), false, "f")),
              "<|open|>user\n[0:Hé <b>you</b>\n]<|close|><|open|>assistant\n[1: 日本 ]<|close|>");
    // Stripped, cut at a tag, in capitals, twice, as JSON.
    Renderer strange = renderer_of(
        "{% for m in messages %}<{{ m.content.split('</think>')[-1] | trim }}|{{ m.content | upper }}|{{ "
        "m.content | "
        "tojson }}>{% endfor %}");
    EXPECT_EQ(shown(strange.render(said({{"assistant", "<think>\nhm\n</think>\n\nyes"}}), false, "f")),
              "<[0:yes]|<THINK>\n[0:HM]\n</THINK>\n\n[0:YES]|\"<think>\\n[0:hm]\\n</think>\\n\\n[0:yes]\">");
}

TEST(Renderer, TellsToolsAndCallsApart) {
    Renderer renderer = renderer_of(
        "{{ tools | tojson }}{% for m in messages %}({{ m.role }}: {{ m.content }}{% for c in m.tool_calls "
        "%} {{ "
        "c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}){% endfor %}");
    const Conversation call = conversation(
        R"({"messages": [{"role": "assistant", "content": "ok", "tool_calls": [{"function": {"name": "f",)"
        R"( "arguments": {"n": 1, "city": "Paris"}}}]}], "tools": [{"name": "f", "description": "a city"}]})");
    EXPECT_EQ(
        shown(renderer.render(call, false, "f")),
        R"([{"name": "f", "description": "[-1:a city]"}](assistant: [0:ok] f {"n": 1, "city": "[0:Paris]"}))");
}

TEST(Renderer, FindsContentsWhereATemplateTestsThem) {
    // The marks around a content would be seen, so that it is looked for.
    Renderer tests = renderer_of(
        "{% for m in messages %}{{ m.role }}={% if m.content == 'yes' %}yes!{% else %}{{ m.content }}{% "
        "endif %};{% "
        "endfor %}");
    EXPECT_EQ(shown(tests.render(said({{"user", "no"}, {"assistant", "yes"}}), false, "f")),
              "user=[0:no];assistant=[1:yes]!;");
    EXPECT_FALSE(tests.render(said({{"assistant", "yes"}}), false, "f").all_known);
    Renderer counts = renderer_of("{% for m in messages %}{{ m.content | length }}{% endfor %}");
    const Rendered unknown = counts.render(said({{"user", "word"}}), false, "f");
    EXPECT_EQ(unknown.text, "4");
    EXPECT_FALSE(unknown.known);
    EXPECT_TRUE(unknown.spans.empty());
    // Contents that hold characters like the marks.
    Renderer marked = renderer_of(kMarkedTemplate);
    EXPECT_FALSE(marked.render(said({{"user", "a\xF4\x80\x80\x80z"}}), false, "f").known);
}

TEST(Renderer, TellsWhereMessagesEnd) {
    Renderer marked = renderer_of(kMarkedTemplate);
    const Conversation three = said({{"user", "é"}, {"assistant", "b"}, {"user", "c"}});
    EXPECT_THAT(marked.render(three, true, "f").ends, ElementsAre(24, 52));
    EXPECT_THAT(marked.render(three, false, "f").ends, testing::IsEmpty());
    // The last user's message is said first, and half a conversation is refused.
    Renderer moves = renderer_of(
        "{% if messages | length == 2 %}{{ raise_exception('two') }}{% endif %}{{ messages[-1].content }}{% "
        "for m in "
        "messages %}{{ m.content }}{% endfor %}");
    EXPECT_THAT(moves.render(three, true, "f").ends, ElementsAre(-1, -1));
}

TEST(Renderer, TakesTheTemplateForTools) {
    Renderer both({{{"default", "plain"}, {"tool_use", "tools"}}, "m", {}}, options());
    EXPECT_EQ(both.render(said({{"user", "a"}}), false, "f").text, "plain");
    EXPECT_EQ(
        both.render(conversation(R"({"messages": [{"role": "user"}], "tools": [{"a": 1}]})"), false, "f")
            .text,
        "tools");
}

TEST(Renderer, TakesVariables) {
    RenderOptions how = options();
    how.variables = R"({"x": [1, 2], "bos_token": "B"})";
    EXPECT_EQ(renderer_of("{{ x }}{{ bos_token }}{{ eos_token }}", how)
                  .render(said({{"user", "a"}}), false, "f")
                  .text,
              "[1, 2]B</s>");
    how.variables = "[]";
    EXPECT_EQ(tokenizer::thrown([&] { renderer_of("", how); }),
              "--chat-template-kwargs: '[]' is no JSON object");
}

TEST(Renderer, SaysWhatIsWrongWithATemplate) {
    EXPECT_THAT(tokenizer::thrown([] { renderer_of("{% if %}"); }),
                HasSubstr("model.gguf: the chat template cannot be read: "));
    Renderer raises = renderer_of("{{ raise_exception('no system please') }}");
    EXPECT_EQ(raises.render(said({{"user", "a"}}), false, "f").refusal, "no system please");
    // Another conversation may be taken.
    Renderer picky = renderer_of("{{ 1 / messages[0].content | length }}");
    EXPECT_EQ(picky.render(said({{"user", ""}}), false, "f").refusal, "division by zero");
    EXPECT_EQ(picky.render(said({{"user", "ab"}}), false, "f").text, "0.5");
}

TEST(Renderer, EndsATemplateThatDoesNotEnd) {
    RenderOptions how = options();
    Renderer quick = renderer_of("", how);  // starts within its own limit
    how.limit = std::chrono::milliseconds(1500);
    const auto loop = [&](const std::string& text) {
        return tokenizer::thrown([&] {
            (void)renderer_of(text, how).render(said({{"user", "a"}}), false, "f.jsonl, line 7");
        });
    };
    EXPECT_EQ(
        loop("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
        "f.jsonl, line 7: the chat template of model.gguf did not end within 1.5 s with this conversation");
}

TEST(Renderer, BoundsMemoryAndDepth) {
    Renderer hungry = renderer_of(
        "{% set ns = namespace(t='aaaaaaaa') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% "
        "endfor %}{{ ns.t }}");
    EXPECT_EQ(hungry.render(said({{"user", "a"}}), false, "f").refusal,
              "it takes more memory than a template may");
    Renderer deep = renderer_of("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}");
    EXPECT_EQ(deep.render(said({{"user", "a"}}), false, "f").refusal, "it calls itself without end");
}

TEST(Renderer, JinjaKeepsTemplatesFromFilesAndFromPython) {
    const std::pair<const char*, const char*> cases[] = {
        {"{% include '/etc/passwd' %}", "no loader for this environment specified"},
        {"{% import '/etc/passwd' as x %}", "no loader for this environment specified"},
        {"{{ cycler.__init__.__globals__.os.popen('id').read() }}", "access to attribute '__init__'"},
        {"{{ ''.__class__.__mro__[1].__subclasses__() }}", "access to attribute '__class__'"},
        {"{{ messages.append(1) }}", "access to attribute 'append'"},
        {"{{ open('/etc/passwd') }}", "'open' is undefined"}};
    for (const auto& [text, why] : cases)
        EXPECT_THAT(renderer_of(text).render(said({{"user", "a"}}), false, "f").refusal, HasSubstr(why))
            << text;
}

/// What Python code gets that runs where templates do, in place of the service.
std::string confined(const std::string& code) {
    std::string script(helper_script());
    const std::size_t at = script.rfind("    serve()\n");
    EXPECT_NE(at, std::string::npos);
    script.replace(at, std::string("    serve()\n").size(), R"(
    import socket, subprocess
    def attempt():
        )" + code + R"(
    try:
        send({"got": repr(attempt())})
    except BaseException as error:
        send({"error": type(error).__name__ + " " + str(getattr(error, "errno", ""))})
)");
    // What the attempts need is loaded before the door closes.
    script.insert(script.find("import ctypes\n"), "import socket, subprocess\n");
    HelperProcess process({"/usr/bin/python3", "-I", "-B", "-c", script});
    const HelperProcess::Answer hello = process.receive(std::chrono::seconds(60));
    EXPECT_EQ(hello.message, "{}");
    return process.receive(std::chrono::seconds(60)).message;
}

TEST(Confinement, CodeThatEscapesFromJinjaReachesNothing) {
    constexpr const char* kDenied = R"({"error": "PermissionError 1"})";
    EXPECT_EQ(confined("return 1 + 1"), R"({"got": "2"})");
    for (const char* code :
         {"return open('/etc/passwd').read()", "return open('/tmp/assay-confined', 'w')",
          "return os.open('/proc/self/mem', os.O_RDWR)", "return os.listdir('/')", "return os.stat('/')",
          "return socket.socket(socket.AF_INET, socket.SOCK_STREAM)", "return socket.socket(socket.AF_UNIX)",
          "return socket.socketpair()", "return os.fork()", "return os.execv('/bin/sh', ['sh'])",
          "return os.kill(os.getppid(), 9)", "return os.pipe()", "return os.dup(1)",
          "return os.memfd_create('x')", "return os.unlink('/tmp/x')",
          "return os.mkdir('/tmp/assay-confined')",
          "return socket.fromfd(0, socket.AF_UNIX, socket.SOCK_STREAM)"})
        EXPECT_EQ(confined(code), kDenied) << code;
    // The limits cannot be lifted, nor the filter: libc's calls fail.
    EXPECT_THAT(confined("return resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))"), HasSubstr("error"));
    EXPECT_EQ(confined("return ctypes.CDLL(None).prctl(22, 0, None, 0, 0)"), R"({"got": "-1"})");
    // 127, which stands for no shell.
    EXPECT_EQ(confined("return ctypes.CDLL(None).system(b'true') >> 8"), R"({"got": "127"})");
}

TEST(Confinement, IsWhatDeniesThem) {
    // The same code in a process that was not confined: the attempts above fail for the right reason.
    std::string script(helper_script());
    script.replace(script.find("        confine()\n"), std::string("        confine()\n").size(),
                   "        pass\n");
    script.replace(script.rfind("    serve()\n"), std::string("    serve()\n").size(),
                   "    send({\"got\": len(open('/etc/passwd').read()) > 0})\n");
    HelperProcess process({"/usr/bin/python3", "-I", "-B", "-c", script});
    EXPECT_EQ(process.receive(std::chrono::seconds(60)).message, "{}");
    EXPECT_EQ(process.receive(std::chrono::seconds(60)).message, R"({"got": true})");
}

TEST(Renderer, NamesThePackageThatIsMissing) {
    RenderOptions how = options();
    how.python = "/no/python3";
    EXPECT_EQ(tokenizer::thrown([&] { renderer_of("", how); }),
              "/no/python3: conversations need Python with Jinja2, which renders the model's chat template: "
              "install "
              "the package python3-jinja2 (found: cannot be started: No such file or directory)");
    how.python = "/bin/false";
    EXPECT_THAT(tokenizer::thrown([&] { renderer_of("", how); }),
                HasSubstr("install the package python3-jinja2 (found: it ended at once)"));
}

TEST(Templates, AreThoseOfTheModel) {
    gguf::Metadata metadata = sample_metadata("a template");
    metadata.set("tokenizer.chat_template.tool_use", gguf::text("another"));
    const Templates templates = templates_of(metadata);
    EXPECT_EQ(templates.texts.at("default"), "a template");
    EXPECT_EQ(templates.texts.at("tool_use"), "another");
    EXPECT_EQ(templates.variables.at("bos_token"), "<s>");
    EXPECT_EQ(templates.variables.at("eos_token"), "</s>");
    EXPECT_FALSE(templates.variables.contains("pad_token"));
    EXPECT_TRUE(templates_of(sample_metadata()).texts.empty());
}

}  // namespace
}  // namespace assay::documents
