#include "core/text.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <iterator>

namespace assay {

namespace {

bool is_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

/// Characters that act on a terminal or on the text around them instead of being seen.
bool is_control(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

Decoded decode_utf8(std::string_view text, std::size_t position) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[position + i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {static_cast<char32_t>(lead), 1, true};
    constexpr Decoded kBad{0xFFFD, 1, false};
    if (lead < 0xC0 || lead >= 0xF8) return kBad;
    const auto n = static_cast<std::size_t>(std::countl_one(byte(0)));
    if (n > text.size() - position) return kBad;
    char32_t code_point = lead & (0x7Fu >> n);
    for (std::size_t i = 1; i < n; ++i) {
        if ((byte(i) & 0xC0u) != 0x80u) return kBad;
        code_point = (code_point << 6) | (byte(i) & 0x3Fu);
    }
    constexpr char32_t kLeast[]{0x80, 0x800, 0x10000};  // below, fewer bytes would do
    if (code_point < kLeast[n - 2] || code_point > 0x10FFFF) return kBad;
    return {code_point, n, true};
}

std::string printable(std::string_view text, std::string_view kept) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const Decoded found = decode_utf8(text, i);
        const std::string_view bytes = text.substr(i, found.n_bytes);
        const auto to = std::back_inserter(out);
        if (!found.valid || is_surrogate(found.code_point))
            for (const char c : bytes) fmt::format_to(to, "\\x{:02x}", static_cast<unsigned char>(c));
        else if (is_control(found.code_point) && kept.find(bytes) == std::string_view::npos)
            fmt::format_to(to, "\\u{:04x}", static_cast<std::uint32_t>(found.code_point));
        else
            out.append(bytes);
        i += found.n_bytes;
    }
    return out;
}

}  // namespace assay
