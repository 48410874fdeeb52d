// The writing system of a character, by the blocks of Unicode: enough to tell what languages a text is in.
#pragma once

#include <cstdint>
#include <string_view>

namespace assay::documents {

enum class Script : std::uint8_t {
    None,  ///< digits, punctuation, space, symbols
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Hebrew,
    Arabic,
    Devanagari,
    Bengali,
    Gurmukhi,
    Gujarati,
    Odia,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Sinhala,
    Thai,
    Lao,
    Tibetan,
    Myanmar,
    Georgian,
    Hangul,
    Ethiopic,
    Khmer,
    Mongolian,
    Kana,
    Han,
    Other,
};
inline constexpr std::size_t kScripts = static_cast<std::size_t>(Script::Other) + 1;

/// "Latin" and so on; "none", "other".
std::string_view to_string(Script script) noexcept;

Script script_of(char32_t character) noexcept;

/// Of the first character of a writing system that begins within the bytes of a text, or that they continue.
Script script_of(std::string_view text, std::size_t begin, std::size_t end) noexcept;

}  // namespace assay::documents
