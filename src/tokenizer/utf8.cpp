#include "tokenizer/utf8.h"

namespace assay::tokenizer {

Decoded decode(std::string_view text, std::size_t position) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[position + i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {static_cast<char32_t>(lead), 1, true};
    constexpr Decoded kBad{0xFFFD, 1, false};
    if (lead < 0xC0 || lead >= 0xF8) return kBad;
    const std::size_t n = announced_length(text[position]);
    if (n > text.size() - position) return kBad;
    char32_t code_point = lead & (0x7Fu >> n);
    for (std::size_t i = 1; i < n; ++i) {
        if ((byte(i) & 0xC0u) != 0x80u) return kBad;
        code_point = (code_point << 6) | (byte(i) & 0x3Fu);
    }
    constexpr char32_t kSmallest[]{0, 0, 0x80, 0x800, 0x10000};  // by length: below it the form is overlong
    return code_point < kSmallest[n] || code_point > 0x10FFFF ? kBad : Decoded{code_point, n, true};
}

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
    for (std::size_t position = 0; position < text.size();) {
        if (static_cast<unsigned char>(text[position]) < 0x80) {
            ++position;
            continue;
        }
        const Decoded decoded = decode(text, position);
        if (!decoded.valid) {
            out.append(text.substr(clean_from, position - clean_from)).append("\xEF\xBF\xBD");
            clean_from = position + 1;
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
