#include "core/content.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/text.h"

namespace assay {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t kSeenBytes = 4096;  // enough to tell

struct Signature {
    std::size_t offset;
    std::string_view bytes;
    Content content;
};

constexpr Content kLfsPointer{
    "a Git LFS pointer, a line of text in place of the file, which `git lfs pull` brings"};
constexpr Content kOldModel{"a model in the GGML form that came before GGUF"};

constexpr Signature kSignatures[]{
    {0, "GGUF"sv, {"a GGUF file"}},
    {0, "version https://git-lfs.github.com/"sv, kLfsPointer},
    {0, "version https://hawser.github.com/"sv, kLfsPointer},
    {0, "/annex/objects/"sv, {"a git-annex pointer, which `git annex get` replaces by the file"}},
    {0, "lmgg"sv, kOldModel},
    {0, "fmgg"sv, kOldModel},
    {0, "tjgg"sv, kOldModel},
    {0, "algg"sv, {"a LoRA adapter in the GGML form that came before GGUF"}},
    {0, "PK\3\4"sv, {"a ZIP archive, as PyTorch also writes them"}},
    {0, "PK\5\6"sv, {"an empty ZIP archive"}},
    {0, "\x1f\x8b"sv, {"a gzip archive"}},
    {0, "BZh"sv, {"a bzip2 archive"}},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     {"an xz archive"}},
    {0, "\x28\xb5\x2f\xfd"sv, {"a Zstandard archive"}},
    {0, "\x04\x22\x4d\x18"sv, {"an LZ4 archive"}},
    {0, "7z\xbc\xaf\x27\x1c"sv, {"a 7z archive"}},
    {0, "Rar!\x1a\x07"sv, {"a RAR archive"}},
    {257, "ustar"sv, {"a tar archive"}},
    {0, "!<arch>\n"sv, {"an ar archive, as Debian packages are"}},
    {0, "%PDF-"sv, {"a PDF document"}},
    {0,
     "\x7f"
     "ELF"sv,
     {"a program"}},
    {0, "\x93NUMPY"sv, {"a NumPy array"}},
    {0, "\x89HDF\r\n"sv, {"an HDF5 file"}},
    {0, "\x89PNG\r\n"sv, {"a PNG image"}},
    {0, "\xff\xfe\0\0"sv, {"UTF-32 text"}},
    {0, "\0\0\xfe\xff"sv, {"UTF-32 text"}},
    {0, "\xff\xfe"sv, {"UTF-16 text"}},
    {0, "\xfe\xff"sv, {"UTF-16 text"}},
};

/// Without a byte order mark: ASCII characters, each beside a zero.
bool is_utf16(std::string_view text) {
    constexpr std::size_t kLeastBytes = 8;
    if (text.size() < kLeastBytes) return false;
    for (const std::size_t first : {0u, 1u}) {  // little-endian, big-endian
        bool all = true;
        for (std::size_t i = 0; all && i + 1 < text.size(); i += 2) {
            const char c = text[i + first];
            all = text[i + 1 - first] == '\0' && ((c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r'));
        }
        if (all) return true;
    }
    return false;
}

/// A length of 64 bits, then a JSON object of this length.
bool is_safetensors(std::string_view text) {
    constexpr std::uint64_t kMostBytes = 100'000'000;  // that the format allows the object
    std::uint64_t length = 0;
    if (text.size() <= sizeof length) return false;
    std::memcpy(&length, text.data(), sizeof length);
    return length >= 2 && length <= kMostBytes && text[sizeof length] == '{';
}

/// Without the character that is cut where the looking ends.
std::string_view whole_characters(std::string_view text) {
    if (text.size() < kSeenBytes) return text;
    std::size_t end = text.size() - 1;
    while (end > text.size() - 4 && (text[end] & 0xC0) == 0x80) --end;
    return text.substr(0, end);
}

Content recognise_text(std::string_view text) {
    std::string_view rest = text;
    if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(" \t\r\n")));
    std::string begin(rest.substr(0, 16));
    std::ranges::transform(begin, begin.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    for (const std::string_view tag : {"<!doctype html", "<html", "<head", "<body"})
        if (begin.starts_with(tag)) return {"a web page", true};
    if (begin.starts_with("<?xml")) return {"an XML document", true};
    const std::string_view whole = whole_characters(text);
    if (printable(whole, "\n\r\t\f") != whole) return {};
    return begin.starts_with('{') ? Content{"JSON text", true} : Content{"a text", true};
}

}  // namespace

Content recognise(std::span<const std::byte> bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                                std::min(bytes.size(), kSeenBytes));
    if (text.empty()) return {"an empty file"};
    for (const Signature& known : kSignatures)
        if (text.size() > known.offset && text.substr(known.offset).starts_with(known.bytes))
            return known.content;
    if (text.find_first_not_of('\0') == std::string_view::npos)
        return {"a file that begins with nothing but zeros, as downloads do that were never finished"};
    if (is_utf16(text)) return {"UTF-16 text"};
    if (is_safetensors(text)) return {"a safetensors file"};
    return recognise_text(text);
}

}  // namespace assay
