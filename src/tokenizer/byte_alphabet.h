// The alphabet in which byte-level BPE vocabularies write arbitrary bytes as printable characters (Radford et
// al. 2019, GPT-2): visible Latin-1 characters stand for themselves, the other 68 bytes, in increasing order,
// for U+0100, U+0101, ...
#pragma once

#include <array>
#include <string>

#include "tokenizer/utf8.h"

namespace assay::tokenizer {

/// UTF-8 of the character for each byte.
inline std::array<std::string, 256> byte_alphabet() {
    std::array<std::string, 256> alphabet;
    char32_t next_free = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool visible = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        append_utf8(alphabet[byte], visible ? byte : next_free++);
    }
    return alphabet;
}

}  // namespace assay::tokenizer
