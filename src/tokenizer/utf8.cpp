#include "tokenizer/utf8.h"

namespace assay::tokenizer {

void append_utf8(std::string& text, char32_t code_point) {
    const auto put = [&](char32_t bits) { text.push_back(static_cast<char>(bits)); };
    const auto tail = [&](unsigned shift) { put(0x80u | ((code_point >> shift) & 0x3Fu)); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0u | (code_point >> 6));
        tail(0);
    } else if (code_point < 0x10000) {
        put(0xE0u | (code_point >> 12));
        tail(6);
        tail(0);
    } else {
        put(0xF0u | (code_point >> 18));
        tail(12);
        tail(6);
        tail(0);
    }
}

void append_clean(std::string& out, std::string_view text) {
    out.reserve(out.size() + text.size());
    std::size_t clean_from = 0;  // bytes from here to `position` can be copied as they are
    std::size_t position = 0;
    while (position < text.size()) {
        if (static_cast<unsigned char>(text[position]) < 0x80) {
            ++position;
            continue;
        }
        const Decoded decoded = decode_utf8(text, position);
        if (!decoded.valid) {
            out.append(text.substr(clean_from, position - clean_from));
            append_utf8(out, decoded.code_point);
            clean_from = position + decoded.n_bytes;
        }
        position += decoded.n_bytes;
    }
    out.append(text.substr(clean_from));
}

void append_marked(std::string& out, std::string_view text) {
    for (std::size_t begin = 0;;) {
        const std::size_t space = text.find(' ', begin);
        out.append(text.substr(begin, space - begin));
        if (space == std::string_view::npos) return;
        out.append(kSpaceMark);
        begin = space + 1;
    }
}

}  // namespace assay::tokenizer
