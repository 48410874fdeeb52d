// Text from files that is shown to people: reading UTF-8 that may be broken, and taking the power out of
// control characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace assay {

struct Decoded {
    char32_t code_point;
    std::size_t n_bytes;
    bool valid;
};

/// The code point at `position`, which must be inside the text. Bytes that start none give U+FFFD, length 1,
/// not valid: continuations that are missing or stand alone, overlong forms, numbers above U+10FFFF.
/// Surrogates count as code points.
Decoded decode_utf8(std::string_view text, std::size_t position) noexcept;

/// `text` as a terminal or a table may show it: each control character (also those that change the direction
/// of writing or end a line) becomes its number, \u001b, and each byte that is not UTF-8 its own, \xff.
/// Control characters among `kept` stay. The result of JSON is the same JSON.
std::string printable(std::string_view text, std::string_view kept = {});

}  // namespace assay
