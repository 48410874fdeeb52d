#include "documents/tokens.h"

#include <algorithm>
#include <array>
#include <set>

namespace assay::documents {

using tokenizer::Placed;
using tokenizer::Range;
using tokenizer::Token;
using tokenizer::Tokenizer;

namespace {

/// Bytes of one role, one stretch behind the other from the text's beginning to its end.
struct Stretch {
    std::size_t end = 0;
    Role role = Role::Template;
};

/// Whose most of a token's bytes are; what people say before what the template says. Tokens come in order.
class RoleFinder {
  public:
    explicit RoleFinder(const std::vector<Stretch>& stretches) : stretches_(stretches) {}

    Role of(Range bytes) {
        while (next_ < stretches_.size() && stretches_[next_].end <= bytes.begin) ++next_;
        if (bytes.begin == bytes.end) return Role::Template;
        std::array<std::size_t, kRoles.size()> n_bytes{};
        std::size_t at = bytes.begin;
        for (std::size_t i = next_; i < stretches_.size() && at < bytes.end; ++i) {
            const std::size_t end = std::min(stretches_[i].end, bytes.end);
            n_bytes[index_of(stretches_[i].role)] += end - at;
            at = end;
        }
        // Template is the last one.
        return kRoles[static_cast<std::size_t>(std::ranges::max_element(n_bytes) - n_bytes.begin())];
    }

  private:
    const std::vector<Stretch>& stretches_;
    std::size_t next_ = 0;
};

Document document_of(std::string_view text, const std::vector<Placed>& placed,
                     const std::vector<Stretch>& stretches) {
    Document out;
    RoleFinder roles(stretches);
    for (const Placed& token : placed) {
        out.ids.push_back(token.token);
        out.roles.push_back(roles.of(token.bytes));
        out.scripts.push_back(script_of(text, token.bytes.begin, token.bytes.end));
    }
    return out;
}

std::vector<Range> joined(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::begin);
    std::vector<Range> out;
    for (const Range& range : ranges) {
        if (!out.empty() && range.begin <= out.back().end)
            out.back().end = std::max(out.back().end, range.end);
        else
            out.push_back(range);
    }
    return out;
}

/// Adds every place at which the text of one of the marks stands that these strings spell.
void forbid(const Tokenizer& tokenizer, const std::vector<std::string>& strings, std::string_view text,
            std::vector<Range>& plain) {
    std::set<Token> marks;
    for (const std::string& string : strings)
        for (const Token mark : tokenizer.marks_in(string)) marks.insert(mark);
    for (const Token mark : marks) {
        const std::string& spelled = tokenizer.vocabulary().text(mark);
        for (std::size_t at = text.find(spelled); at != text.npos; at = text.find(spelled, at + 1))
            plain.push_back({at, at + spelled.size()});
    }
}

void count_marks(const Tokenizer& tokenizer, const std::vector<std::string>& strings, WrittenMarks& written) {
    for (const std::string& string : strings)
        for (const Token mark : tokenizer.marks_in(string)) ++written[mark];
}

}  // namespace

Document tokenize_parts(const Tokenizer& tokenizer, const std::vector<Part>& parts, bool parse_special,
                        WrittenMarks& written) {
    std::string text;
    std::vector<Stretch> stretches;
    for (const Part& part : parts) {
        text += part.text;
        stretches.push_back({text.size(), part.role});
    }
    if (!parse_special) count_marks(tokenizer, {text}, written);
    return document_of(text,
                       tokenizer.encode_placed(text, {.add_special = true, .parse_special = parse_special}),
                       stretches);
}

Document tokenize_rendered(const Tokenizer& tokenizer, const Conversation& conversation,
                           const Rendered& rendered, bool parse_special, WrittenMarks& written) {
    const std::string& text = rendered.text;
    std::vector<Stretch> stretches;
    std::vector<Range> plain;
    bool tools_found = false;
    for (const Span& span : rendered.spans) {
        const bool of_tools = span.owner < 0;
        tools_found = tools_found || of_tools;
        stretches.push_back({span.begin, Role::Template});
        stretches.push_back({span.end, of_tools
                                           ? Role::System
                                           : conversation.roles.at(static_cast<std::size_t>(span.owner))});
        plain.push_back({span.begin, span.end});
    }
    stretches.push_back({text.size(), Role::Template});
    if (parse_special) {
        plain.clear();
    } else {
        forbid(tokenizer, conversation.names, text, plain);
        if (!tools_found) forbid(tokenizer, conversation.tool_texts, text, plain);
        if (!rendered.all_known) forbid(tokenizer, conversation.contents, text, plain);
        for (const auto* strings : {&conversation.contents, &conversation.tool_texts, &conversation.names})
            count_marks(tokenizer, *strings, written);
    }
    const std::vector<Placed> placed = tokenizer.encode_placed(
        text, {.add_special = false, .parse_special = true}, joined(std::move(plain)));
    Document out = document_of(text, placed, stretches);
    out.roles_known = rendered.known;
    if (!rendered.known) std::ranges::fill(out.roles, Role::Text);
    for (const std::int64_t end : rendered.ends) {
        if (end <= 0) continue;
        const auto first = std::ranges::partition_point(
            placed, [&](const Placed& token) { return token.bytes.begin < static_cast<std::size_t>(end); });
        const auto start = static_cast<std::size_t>(first - placed.begin());
        if (start < placed.size() && (out.starts.empty() || out.starts.back() < start))
            out.starts.push_back(start);
    }
    return out;
}

}  // namespace assay::documents
