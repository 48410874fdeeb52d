// UTF-8 as tokenizers read it: lenient, and never failing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/text.h"

namespace assay::tokenizer {

/// U+2581, which stands for a space in the texts of some vocabularies.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// Length in bytes that a lead byte announces; 1 for a continuation byte (nothing is checked).
inline std::size_t announced_length(char lead) noexcept {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// The same, but never past the end of the text; `position` must be inside it.
inline std::size_t character_length(std::string_view text, std::size_t position) noexcept {
    const std::size_t announced = announced_length(text[position]);
    const std::size_t remaining = text.size() - position;
    return announced < remaining ? announced : remaining;
}

void append_utf8(std::string& text, char32_t code_point);

/// Appends `text` with each byte that decode_utf8() refuses replaced by U+FFFD, so that announced_length()
/// walks it code point by code point.
void append_clean(std::string& out, std::string_view text);

/// Appends `text` with each U+0020 replaced by kSpaceMark.
void append_marked(std::string& out, std::string_view text);

}  // namespace assay::tokenizer
