#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "documents/source.h"

namespace assay::documents {

// Templates print tools as they come: members keep their order.
using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kSpace = " \t\r\n";

struct Speaker {
    std::string_view word;
    Role role;
    std::string_view message_role;  ///< what templates call it
};

constexpr Speaker kSpeakers[] = {
    {"system", Role::System, "system"},
    {"developer", Role::System, "developer"},
    {"user", Role::User, "user"},
    {"human", Role::User, "user"},
    {"assistant", Role::Assistant, "assistant"},
    {"gpt", Role::Assistant, "assistant"},
    {"chatgpt", Role::Assistant, "assistant"},
    {"bot", Role::Assistant, "assistant"},
    {"model", Role::Assistant, "assistant"},
    {"function_call", Role::Assistant, "assistant"},
    {"tool", Role::Tool, "tool"},
    {"tool_response", Role::Tool, "tool"},
    {"function", Role::Tool, "tool"},
    {"function_response", Role::Tool, "tool"},
    {"observation", Role::Tool, "tool"},
    {"ipython", Role::Tool, "ipython"},
};

const Speaker* find_speaker(std::string_view word) noexcept {
    const auto* const found = std::ranges::find(kSpeakers, word, &Speaker::word);
    return found == std::end(kSpeakers) ? nullptr : found;
}

/// Members of `messages` that templates compare with words of their own: template_helper.py leaves the same.
bool is_name(std::string_view key) {
    constexpr std::array<std::string_view, 5> kNames{"role", "type", "id", "tool_call_id", "name"};
    return std::ranges::find(kNames, key) != kNames.end();
}

/// Appends the strings within a value, and the names of its members.
void collect(const Json& value, std::vector<std::string>& texts, std::vector<std::string>& names) {
    if (value.is_string()) {
        texts.push_back(value.get<std::string>());
    } else if (value.is_array()) {
        for (const Json& item : value) collect(item, texts, names);
    } else if (value.is_object()) {
        for (const auto& [key, item] : value.items()) {
            names.push_back(key);
            collect(item, is_name(key) ? names : texts, names);
        }
    }
}

/// Reads one line; what is wrong with it is thrown with its number.
class Line {
  public:
    Line(std::string_view text, std::int64_t number, std::string_view where)
        : number_(number), where_(where), object_(parse(text)) {}

    Source read() const {
        if (object_.contains("messages")) return {number_, conversation(messages("messages"))};
        if (object_.contains("conversations")) return {number_, conversation(turns("conversations"))};
        if (object_.contains("prompt") && object_.contains("completion")) return {number_, completion()};
        if (object_.contains("text")) return {number_, std::vector<Part>{{Role::Text, text("text")}}};
        wrong("an object without messages, conversations, prompt and completion, or text");
    }

  private:
    template <typename... Args>
    [[noreturn]] void wrong(fmt::format_string<Args...> format, Args&&... args) const {
        throw_error(ErrorKind::BadFile, where_, "line {}: {}", number_,
                    fmt::format(format, std::forward<Args>(args)...));
    }

    Json parse(std::string_view line) const {
        if (line.size() > kLongestLine)
            wrong("{} bytes are more than a document may have, {}", line.size(), kLongestLine);
        const auto check = [&](int depth, Json::parse_event_t, Json&) {
            if (depth > kDeepestNesting) wrong("nested more than {} deep", kDeepestNesting);
            return true;
        };
        try {
            Json json = Json::parse(line, check);
            if (!json.is_object()) wrong("{}; expected an object", what(json));
            return json;
        } catch (const Json::parse_error& error) {
            if (std::string_view(error.what()).find("UTF-8") != std::string_view::npos)
                wrong("invalid UTF-8 at byte {}", error.byte);
            if (error.byte > line.size()) wrong("the JSON breaks off after {} bytes", line.size());
            const std::size_t at = error.byte > 0 ? error.byte - 1 : 0;
            wrong("no JSON at byte {}, where it goes on '{}'", at + 1, printable(line.substr(at, 20)));
        } catch (const Json::out_of_range&) {
            wrong("a number is too large");
        }
    }

    static std::string what(const Json& value) {
        return value.is_object()  ? "an object"
               : value.is_array() ? "a list"
                                  : fmt::format("a {}", value.type_name());
    }

    const Json& list(const Json& holder, const char* key) const {
        const Json& value = holder.at(key);
        if (!value.is_array()) wrong("{} is {}; expected a list", key, what(value));
        if (value.empty()) wrong("{} is empty", key);
        for (const Json& item : value)
            if (!item.is_object()) wrong("{} holds {}; expected objects", key, what(item));
        return value;
    }

    std::string text(const char* key) const {
        const Json& value = object_.at(key);
        if (!value.is_string()) wrong("{} is {}; expected a string", key, what(value));
        return value.get<std::string>();
    }

    const std::string& word(const Json& message, std::string_view list, const char* key) const {
        const auto found = message.find(key);
        if (found == message.end()) wrong("{} holds an object without {}", list, key);
        if (!found->is_string()) wrong("{} of one of {} is {}; expected a string", key, list, what(*found));
        return found->get_ref<const std::string&>();
    }

    Json messages(const char* key) const {
        const Json& all = list(object_, key);
        for (const Json& message : all) {
            (void)word(message, key, "role");
            const auto content = message.find("content");
            if (content == message.end() || content->is_string() || content->is_null()) continue;
            if (!content->is_array())
                wrong("content of one of {} is {}; expected a string or a list of parts", key,
                      what(*content));
            for (const Json& part : *content)
                if (!part.is_object() && !part.is_string())
                    wrong("content of one of {} holds {}; expected parts", key, what(part));
        }
        return all;
    }

    /// As messages.
    Json turns(const char* key) const {
        Json out = Json::array();
        if (const auto system = object_.find("system");
            system != object_.end() && system->is_string() && !system->get_ref<const std::string&>().empty())
            out.push_back({{"role", "system"}, {"content", *system}});
        for (const Json& turn : list(object_, key)) {
            if (turn.contains("role") && turn.contains("content")) {  // some files mix both forms
                out.push_back(turn);
                (void)word(turn, key, "role");
                continue;
            }
            const std::string& from = word(turn, key, "from");
            const Speaker* const speaker = find_speaker(from);
            if (speaker == nullptr)
                wrong("from is '{}'; expected human, gpt, system, tool or their like", printable(from));
            out.push_back({{"role", speaker->message_role}, {"content", word(turn, key, "value")}});
        }
        return out;
    }

    std::variant<std::vector<Part>, Conversation> completion() const {
        if (!object_.at("prompt").is_array())
            return std::vector<Part>{{Role::User, text("prompt")}, {Role::Assistant, text("completion")}};
        Json all = messages("prompt");
        for (const Json& message : messages("completion")) all.push_back(message);
        return conversation(std::move(all));
    }

    /// A list, or a string that spells one; absent where it is neither, or empty.
    Json tools() const {
        const auto found = object_.find("tools");
        if (found == object_.end() || found->is_null()) return {};
        Json tools = *found;
        if (tools.is_string()) {
            if (tools.get_ref<const std::string&>().empty()) return {};
            tools = Line(fmt::format(R"({{"tools":{}}})", tools.get<std::string>()), number_, where_)
                        .object_.at("tools");
        }
        if (!tools.is_array()) wrong("tools is {}; expected a list", what(tools));
        return tools.empty() ? Json() : tools;
    }

    Conversation conversation(Json messages) const {
        Conversation out;
        for (const Json& message : messages) {
            out.roles.push_back(role_of(message.at("role").get_ref<const std::string&>()));
            collect(message, out.contents, out.names);
        }
        Json request{{"messages", std::move(messages)}};
        if (Json all = tools(); !all.is_null()) {
            collect(all, out.tool_texts, out.names);
            request["tools"] = std::move(all);
            out.has_tools = true;
        }
        if (const auto more = object_.find("chat_template_kwargs");
            more != object_.end() && !more->is_null()) {
            if (!more->is_object()) wrong("chat_template_kwargs is {}; expected an object", what(*more));
            collect(*more, out.names, out.names);
            request["more"] = *more;
        }
        out.json = request.dump();
        return out;
    }

    std::int64_t number_;
    std::string_view where_;
    Json object_;
};

std::string_view without_mark(std::string_view text) {
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    return text;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(kSpace) == line.npos; }

}  // namespace

Role role_of(std::string_view word) noexcept {
    const Speaker* const speaker = find_speaker(word);
    return speaker == nullptr ? Role::User : speaker->role;
}

bool looks_like_json_lines(std::string_view text, std::string_view file_name) {
    if (file_name.ends_with(".jsonl") || file_name.ends_with(".ndjson")) return true;
    text = without_mark(text);
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!line.starts_with('{') || line.size() > kLongestLine) return false;
    const Json::parser_callback_t shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= 1; };
    const Json json = Json::parse(line, shallow, false);
    if (!json.is_object()) return false;
    return json.contains("messages") || json.contains("conversations") || json.contains("text") ||
           (json.contains("prompt") && json.contains("completion"));
}

std::vector<Source> read_json_lines(std::string_view text, std::string_view where) {
    std::vector<Source> sources;
    std::string_view rest = without_mark(text);
    for (std::int64_t number = 1; !rest.empty(); ++number) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!is_blank(line)) sources.push_back(Line(line, number, where).read());
    }
    if (sources.empty()) throw_error(ErrorKind::BadFile, where, "no line holds a document");
    return sources;
}

std::vector<Source> split_text(std::string_view text, std::string_view mark, std::string_view where) {
    std::vector<Source> sources;
    std::int64_t number = 1;
    for (;; ++number) {
        const std::size_t end = std::min(text.find(mark), text.size());
        if (!is_blank(text.substr(0, end)))
            sources.push_back({number, std::vector<Part>{{Role::Text, std::string(text.substr(0, end))}}});
        if (end == text.size()) break;
        text.remove_prefix(end + mark.size());
    }
    if (number == 1)
        throw_error(ErrorKind::Usage, where, "the text has no '{}' to be split on (--split-on)",
                    printable(mark));
    if (sources.empty())
        throw_error(ErrorKind::Usage, where, "nothing stands between the marks '{}'", printable(mark));
    return sources;
}

}  // namespace assay::documents
