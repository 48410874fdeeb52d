// Documents as a file has them, before templates and tokens: plain text, pieces of it, or one JSON object a
// line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "documents/role.h"

namespace assay::documents {

/// A text and who says it.
struct Part {
    Role role = Role::Text;
    std::string text;
};

/// What a chat template makes a text of.
struct Conversation {
    std::string
        json;  ///< an object: "messages", and "tools" and "more" (further variables) where there are any
    std::vector<Role> roles;  ///< of the messages
    bool has_tools = false;
    // Its strings, by which special tokens that it spells are found.
    std::vector<std::string> contents;    ///< of messages
    std::vector<std::string> tool_texts;  ///< of tools
    std::vector<std::string> names;       ///< members, roles and the like
};

struct Source {
    std::int64_t number = 0;  ///< line of the file, or piece of the text, from 1
    std::variant<std::vector<Part>, Conversation> content;
};

/// How a file holds documents.
enum class Form {
    Whole,      ///< it is one text, to be cut into chunks
    Split,      ///< pieces of text between marks
    JsonLines,  ///< an object a line
};

/// JSON lines by their suffix (.jsonl, .ndjson) or by a first line that is an object with a member which
/// read_json_lines() knows.
bool looks_like_json_lines(std::string_view text, std::string_view file_name);

/// The pieces between marks that are not empty. Throws Error{Usage} where the text has no mark.
std::vector<Source> split_text(std::string_view text, std::string_view mark, std::string_view where);

/// One document a line; empty lines and a byte order mark are passed over. An object has
///   messages            [{role, content, ...}]: content is a string or a list of parts; "tools" and
///                       "chat_template_kwargs" beside it are for the template
///   conversations       [{from, value}], with from one of human, gpt, system, tool and their like
///   prompt, completion  both strings, or both lists of messages
///   text                a string
/// Throws Error{BadFile} that names the line for all else, deep nesting and lines beyond kLongestLine
/// included.
std::vector<Source> read_json_lines(std::string_view text, std::string_view where);

inline constexpr std::size_t kLongestLine = std::size_t{64} << 20;
inline constexpr int kDeepestNesting = 64;

/// "system" and "developer", "user", "assistant" and so on, in the words of both kinds of file. Those of no
/// word that is known speak as users.
Role role_of(std::string_view word) noexcept;

}  // namespace assay::documents
