#include "documents/renderer.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "documents/helper_script.h"
#include "tokenizer/vocabulary.h"

namespace assay::documents {

using Json = nlohmann::json;
using Outcome = HelperProcess::Outcome;

namespace {

constexpr std::chrono::seconds kStartLimit{60};

std::string present() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local);
    return text;
}

/// The words by which templates know special tokens, and the keys of their ids.
constexpr std::pair<const char*, const char*> kTokens[] = {
    {"bos_token", "bos"},       {"eos_token", "eos"},     {"unk_token", "unknown"},
    {"sep_token", "seperator"}, {"pad_token", "padding"}, {"mask_token", "mask"}};

[[noreturn]] void no_jinja(const std::string& python, std::string_view found) {
    throw_error(ErrorKind::Unsupported, python,
                "conversations need Python with Jinja2, which renders the model's chat template: install the "
                "package python3-jinja2 (found: {})",
                found);
}

/// The answer as an object. Throws Error{Unsupported}: what comes otherwise is not this program's helper.
Json object_of(const HelperProcess::Answer& answer, const std::string& where) {
    Json json = answer.outcome == Outcome::Answered ? Json::parse(answer.message, nullptr, false) : Json();
    if (!json.is_object())
        throw_error(ErrorKind::Unsupported, where, "the process that renders chat templates has {}",
                    answer.outcome == Outcome::Answered ? "given an answer that is none"
                    : answer.outcome == Outcome::TimedOut
                        ? "not answered"
                        : "ended, as it does when it needs too much memory");
    return json;
}

Json variables_of(const Templates& templates, const RenderOptions& options) {
    Json variables(templates.variables);
    if (options.variables.empty()) return variables;
    const Json more = Json::parse(options.variables, nullptr, false);
    if (!more.is_object())
        throw_error(ErrorKind::Usage, "--chat-template-kwargs", "'{}' is no JSON object",
                    printable(options.variables));
    variables.update(more);
    return variables;
}

/// The member, which the helper always sends. Throws Json::exception for another type.
template <typename Value> Value member(const Json& json, const char* key) {
    return json.at(key).template get<Value>();
}

Rendered rendered_of(const Json& json) {
    Rendered out;
    if (json.contains("error")) {
        out.refusal = member<std::string>(json, "error");
        return out;
    }
    out.text = member<std::string>(json, "text");
    out.known = member<bool>(json, "known");
    out.all_known = member<bool>(json, "all");
    out.dated = member<bool>(json, "dated");
    std::size_t done = 0;
    for (const Json& span : json.at("spans")) {
        const Span read{span.at(0).get<std::size_t>(), span.at(1).get<std::size_t>(),
                        span.at(2).get<std::int64_t>()};
        if (read.begin < done || read.end < read.begin || read.end > out.text.size())
            throw Error(ErrorKind::Internal, "template helper", "spans are not rising and apart");
        done = read.end;
        out.spans.push_back(read);
    }
    if (json.contains("ends")) out.ends = member<std::vector<std::int64_t>>(json, "ends");
    return out;
}

}  // namespace

std::string day_of(const RenderOptions& options) {
    return (options.now.empty() ? present() : options.now).substr(0, std::string_view("2026-11-27").size());
}

Templates templates_of(const gguf::Metadata& metadata) {
    constexpr std::string_view kKey = "tokenizer.chat_template";
    Templates out;
    out.where = metadata.where();
    if (const auto text = metadata.find_string(kKey)) out.texts["default"] = *text;
    if (const auto text = metadata.find_string(fmt::format("{}.tool_use", kKey)))
        out.texts["tool_use"] = *text;
    const gguf::Strings* tokens = metadata.find_strings("tokenizer.ggml.tokens");
    for (const auto& [word, role] : kTokens)
        if (const auto id = metadata.find_integer(fmt::format("tokenizer.ggml.{}_token_id", role));
            id && tokens != nullptr && *id >= 0 && static_cast<std::size_t>(*id) < tokens->size())
            out.variables[word] = (*tokens)[static_cast<std::size_t>(*id)];
    return out;
}

Renderer::Renderer(const Templates& templates, const RenderOptions& options)
    : process_([&] {
          try {
              return HelperProcess({options.python, "-I", "-B", "-c", std::string(helper_script())});
          } catch (const Error& error) {
              no_jinja(options.python, error.message());
          }
      }()),
      where_(templates.where),
      limit_(options.limit),
      has_tool_use_(templates.texts.contains("tool_use")) {
    const HelperProcess::Answer begun = process_.receive(kStartLimit);
    if (begun.outcome == Outcome::Ended) no_jinja(options.python, "it ended at once");
    const Json hello = object_of(begun, options.python);
    if (hello.contains("error")) {
        const auto reason = hello.value("reason", "");
        if (hello["error"] != "unconfined") no_jinja(options.python, reason);
        throw_error(
            ErrorKind::Unsupported, options.python,
            "the process that renders chat templates cannot be kept from files and the network here, so "
            "that none is run: {}",
            reason);
    }
    const Json setup{{"templates", templates.texts},
                     {"variables", variables_of(templates, options)},
                     {"now", options.now.empty() ? present() : options.now}};
    const HelperProcess::Answer ready =
        process_.ask(setup.dump(-1, ' ', false, Json::error_handler_t::replace), limit_);
    if (ready.outcome == Outcome::TimedOut)
        throw_error(ErrorKind::BadFile, where_, "the chat template was not read within {} s",
                    static_cast<double>(limit_.count()) / 1000);
    const Json answer = object_of(ready, where_);
    if (answer.contains("error"))
        throw_error(ErrorKind::BadFile, where_, "the chat template cannot be read: {}",
                    answer.value("error", ""));
}

Rendered Renderer::render(const Conversation& conversation, bool with_ends, std::string_view where) {
    const bool for_tools = has_tool_use_ && conversation.has_tools;
    std::string request = conversation.json;
    request.insert(
        1, fmt::format(R"("template":"{}","ends":{},)", for_tools ? "tool_use" : "default", with_ends));
    const HelperProcess::Answer answer = process_.ask(request, limit_);
    if (answer.outcome == Outcome::TimedOut)
        throw_error(ErrorKind::BadFile, where,
                    "the chat template of {} did not end within {} s with this conversation", where_,
                    static_cast<double>(limit_.count()) / 1000);
    try {
        return rendered_of(object_of(answer, std::string(where)));
    } catch (const Json::exception&) {
        throw Error(ErrorKind::Internal, where,
                    "the process that renders chat templates gave a strange answer");
    }
}

}  // namespace assay::documents
