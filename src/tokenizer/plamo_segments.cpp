#include "tokenizer/plamo_segments.h"

#include <cstddef>
#include <string>

#include "tokenizer/characters.h"
#include "tokenizer/utf8.h"

namespace assay::tokenizer {
namespace {

constexpr std::u32string_view kMarkBegin = U"<|plamo:";
constexpr std::u32string_view kMarkEnd = U"|>";
constexpr std::size_t kMaxMarkCharacters = 64;  ///< between the two
constexpr char32_t kSeparator = 0xEE00;

/// The separators of Python's \s are white space too.
bool may_stand_in_mark(char32_t c) { return c != U'|' && !is_white_space(c) && (c < 0x1C || c > 0x1F); }

/// The position behind the mark that begins at `begin`, or `begin`.
std::size_t mark_end(std::u32string_view text, std::size_t begin) {
    if (text.substr(begin, kMarkBegin.size()) != kMarkBegin) return begin;
    const std::size_t body = begin + kMarkBegin.size();
    std::size_t end = body;
    while (end < text.size() && end - body < kMaxMarkCharacters && may_stand_in_mark(text[end])) ++end;
    return text.substr(end, kMarkEnd.size()) == kMarkEnd ? end + kMarkEnd.size() : begin;
}

/// Position by position, whether a piece begins there.
std::vector<bool> find_cuts(std::u32string_view text) {
    std::vector<bool> cuts(text.size() + 1);
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t end = mark_end(text, i);
        if (end > i) cuts[i] = cuts[end] = true;
        i = end > i ? end : i + 1;
    }
    for (std::size_t begin = 0; begin < text.size();) {
        std::size_t end = begin + 1;
        while (end < text.size() && text[end] == text[begin] && !cuts[end]) ++end;
        const std::size_t n = end - begin;
        const bool is_run = text[begin] == U' ' ? n >= 2 : text[begin] != U'\n' && n >= 4;
        if (is_run) cuts[begin] = cuts[end] = true;
        begin = end;
    }
    return cuts;
}

}  // namespace

std::vector<std::string_view> plamo_segments(std::string_view clean) {
    std::u32string characters;
    for (std::size_t i = 0; i < clean.size(); i += announced_length(clean[i]))
        characters += decode_utf8(clean, i).code_point;
    const std::vector<bool> cuts = find_cuts(characters);

    std::vector<std::string_view> segments;
    std::size_t begin = 0;
    std::size_t end = 0;
    const auto finish = [&] {
        if (begin < end) segments.push_back(clean.substr(begin, end - begin));
        begin = end;
    };
    for (std::size_t i = 0; i < characters.size(); ++i) {
        if (cuts[i] || characters[i] == kSeparator) finish();
        end += announced_length(clean[end]);
        if (characters[i] == kSeparator) begin = end;
    }
    finish();
    return segments;
}

}  // namespace assay::tokenizer
