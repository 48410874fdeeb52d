// What tokenizers ask of a character. Data: the Unicode Character Database, through utf8proc.
#pragma once

namespace assay::tokenizer {

/// General categories, as far as any tokenizer tells them apart.
enum class Kind {
    Letter,       ///< L*
    Mark,         ///< M*
    Number,       ///< N*
    Punctuation,  ///< P*
    Symbol,       ///< S*
    Control,      ///< Cc, Cf, Co, Cs
    Other,        ///< Z*, Cn
};
Kind kind_of(char32_t code_point) noexcept;

/// The property White_Space.
bool is_white_space(char32_t code_point) noexcept;

/// Simple case mapping: one character to one.
char32_t lower_case(char32_t code_point) noexcept;

/// The first character of the canonical decomposition: a letter without its accents, but of a Hangul syllable
/// only the initial consonant, as in llama.cpp.
char32_t first_of_decomposition(char32_t code_point) noexcept;

}  // namespace assay::tokenizer
