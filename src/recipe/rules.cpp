#include "recipe/rules.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>

#include "core/error.h"
#include "gguf/tensor_name.h"
#include "recipe/policy.h"

namespace assay::recipe {

using quant::TypeId;

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The name as an expression within the syntax; what cannot be said becomes "any character".
std::string escape(std::string_view text) {
    std::string pattern;
    for (const char c : text) {
        const bool plain = is_digit(c) || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
        const bool sayable = c > ' ' && c < 127 && c != ',' && c != '=' && !(c >= 'A' && c <= 'Z');
        if (plain)
            pattern += c;
        else if (sayable)
            pattern += std::string("\\") + c;
        else
            pattern += '.';
    }
    return pattern;
}

std::string digit_pattern(char from, char to) {
    if (from == to) return std::string(1, from);
    if (to - from == 1) return std::string("[") + from + to + "]";
    return std::string("[") + from + "-" + to + "]";
}

/// Alternatives for from..to, whose decimal forms have the same length.
void add_same_length(const std::string& prefix, const std::string& from, const std::string& to,
                     std::vector<std::string>& parts) {
    if (from.empty()) {
        parts.push_back(prefix);
        return;
    }
    const std::string zeros(from.size() - 1, '0');
    const std::string nines(from.size() - 1, '9');
    const std::string from_rest = from.substr(1);
    const std::string to_rest = to.substr(1);
    if (from[0] == to[0]) {
        add_same_length(prefix + from[0], from_rest, to_rest, parts);
        return;
    }
    char first = from[0];
    char last = to[0];
    if (from_rest != zeros) add_same_length(prefix + first++, from_rest, nines, parts);
    const bool last_is_part = to_rest != nines;
    if (last_is_part) --last;
    if (first <= last) {
        std::string part = prefix + digit_pattern(first, last);
        for (std::size_t i = 0; i < zeros.size(); ++i) part += "[0-9]";
        parts.push_back(part);
    }
    if (last_is_part) add_same_length(prefix + to[0], zeros, to_rest, parts);
}

void add_range(std::uint64_t from, std::uint64_t to, std::vector<std::string>& parts) {
    while (std::to_string(from).size() < std::to_string(to).size()) {
        const std::string nines(std::to_string(from).size(), '9');
        add_same_length("", std::to_string(from), nines, parts);
        from = std::stoull(nines) + 1;
    }
    add_same_length("", std::to_string(from), std::to_string(to), parts);
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
    return text;
}

/// Type by block.
using Blocks = std::map<std::uint64_t, TypeId>;

/// The kinds as one expression: "attn_k\.weight", or "(attn_k|attn_v)\.weight".
std::string kinds_pattern(const std::vector<std::string>& kinds) {
    constexpr std::string_view kEnd = ".weight";
    if (kinds.size() == 1) return escape(kinds.front());
    const bool same_end = std::all_of(kinds.begin(), kinds.end(),
                                      [&](const std::string& kind) { return kind.ends_with(kEnd); });
    std::vector<std::string> parts;
    for (const std::string& kind : kinds)
        parts.push_back(escape(same_end ? kind.substr(0, kind.size() - kEnd.size()) : kind));
    return "(" + join(parts, "|") + ")" + (same_end ? escape(kEnd) : "");
}

/// One rule per type; the commonest comes last and takes whatever blocks are left.
void add_block_rules(const std::vector<std::string>& kinds, const Blocks& blocks, std::vector<Rule>& rules) {
    std::map<TypeId, std::vector<std::uint64_t>> by_type;
    for (const auto& [block, type] : blocks) by_type[type].push_back(block);
    const TypeId commonest =
        std::max_element(by_type.begin(), by_type.end(), [](const auto& a, const auto& b) {
            return a.second.size() < b.second.size();
        })->first;
    const std::string rest = R"(\.)" + kinds_pattern(kinds) + "$";
    for (const auto& [type, numbers] : by_type)
        if (type != commonest) rules.push_back({R"(^blk\.)" + number_pattern(numbers) + rest, type});
    rules.push_back({R"(^blk\.[0-9]+)" + rest, commonest});
}

}  // namespace

std::string Rule::text() const { return pattern + "=" + std::string(quant::type_info(type).name); }

SplitName split_block(std::string_view name) {
    const auto block = gguf::block_of(name);
    if (!block) return {std::string(name), std::nullopt};
    const std::size_t number = name.find('.') + 1;
    return {std::string(name.substr(name.find('.', number) + 1)), static_cast<std::uint64_t>(*block)};
}

std::string number_pattern(std::span<const std::uint64_t> numbers) {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
        add_range(numbers[i], numbers[last], parts);
        i = last + 1;
    }
    return parts.size() == 1 ? parts.front() : "(" + join(parts, "|") + ")";
}

std::vector<Rule> make_rules(std::span<const NamedType> tensors) {
    std::vector<Rule> rules;
    std::map<std::string, Blocks> kinds;
    std::vector<std::string> order;
    for (const NamedType& tensor : tensors) {
        const SplitName name = split_block(tensor.name);
        if (!name.block) {
            rules.push_back({"^" + escape(tensor.name) + "$", tensor.type});
            continue;
        }
        if (!kinds.contains(name.kind)) order.push_back(name.kind);
        kinds[name.kind].emplace(*name.block, tensor.type);
    }
    while (!order.empty()) {
        const Blocks& blocks = kinds[order.front()];
        std::vector<std::string> alike;
        std::erase_if(order, [&](const std::string& kind) {
            if (kinds[kind] != blocks) return false;
            alike.push_back(kind);
            return true;
        });
        add_block_rules(alike, blocks, rules);
    }
    const Matcher type_of(rules);
    for (const NamedType& tensor : tensors)
        if (type_of(tensor.name) != tensor.type)
            throw_error(ErrorKind::Unsupported, tensor.name,
                        "the quantisers' rules cannot tell this name from one that gets another type");
    return rules;
}

Matcher::Matcher(std::span<const Rule> rules) {
    for (const Rule& rule : rules) {
        std::string pattern = rule.pattern;  // in lower case, as llama.cpp makes it
        for (char& c : pattern) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        rules_.emplace_back(std::regex(pattern), rule.type);
    }
}

std::optional<TypeId> Matcher::operator()(std::string_view name) const {
    for (const auto& [expression, type] : rules_)
        if (std::regex_search(name.begin(), name.end(), expression)) return type;
    return std::nullopt;
}

Keep parse_keep(std::string_view text) {
    const auto equals = text.rfind('=');
    if (equals == text.npos || equals == 0)
        throw_error(ErrorKind::Usage, "--keep", "'{}' is not of the form EXPRESSION=TYPE", text);
    const auto type = parse_type(text.substr(equals + 1));
    if (!type)
        throw_error(ErrorKind::Usage, "--keep", "'{}': unknown type '{}'", text, text.substr(equals + 1));
    try {
        return {std::string(text), std::regex(std::string(text.substr(0, equals))), *type};
    } catch (const std::regex_error&) {
        throw_error(ErrorKind::Usage, "--keep", "'{}': '{}' is not a regular expression", text,
                    text.substr(0, equals));
    }
}

}  // namespace assay::recipe
