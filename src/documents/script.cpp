#include "documents/script.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/text.h"

namespace assay::documents {

namespace {

struct Block {
    char32_t first, last;
    Script script;
};

using enum Script;

/// Rising and apart. What is in none of them is no letter.
constexpr Block kBlocks[] = {
    {'A', 'Z', Latin},           {'a', 'z', Latin},          {0xAA, 0xAA, Latin},
    {0xBA, 0xBA, Latin},         {0xC0, 0xD6, Latin},        {0xD8, 0xF6, Latin},
    {0xF8, 0x24F, Latin},        {0x250, 0x2AF, Latin},      {0x370, 0x3FF, Greek},
    {0x400, 0x52F, Cyrillic},    {0x530, 0x58F, Armenian},   {0x590, 0x5FF, Hebrew},
    {0x600, 0x6FF, Arabic},      {0x700, 0x74F, Other},      {0x750, 0x77F, Arabic},
    {0x780, 0x86F, Other},       {0x870, 0x8FF, Arabic},     {0x900, 0x97F, Devanagari},
    {0x980, 0x9FF, Bengali},     {0xA00, 0xA7F, Gurmukhi},   {0xA80, 0xAFF, Gujarati},
    {0xB00, 0xB7F, Odia},        {0xB80, 0xBFF, Tamil},      {0xC00, 0xC7F, Telugu},
    {0xC80, 0xCFF, Kannada},     {0xD00, 0xD7F, Malayalam},  {0xD80, 0xDFF, Sinhala},
    {0xE00, 0xE7F, Thai},        {0xE80, 0xEFF, Lao},        {0xF00, 0xFFF, Tibetan},
    {0x1000, 0x109F, Myanmar},   {0x10A0, 0x10FF, Georgian}, {0x1100, 0x11FF, Hangul},
    {0x1200, 0x139F, Ethiopic},  {0x13A0, 0x177F, Other},    {0x1780, 0x17FF, Khmer},
    {0x1800, 0x18AF, Mongolian}, {0x18B0, 0x19DF, Other},    {0x19E0, 0x19FF, Khmer},
    {0x1A00, 0x1C7F, Other},     {0x1C80, 0x1C8F, Cyrillic}, {0x1C90, 0x1CBF, Georgian},
    {0x1D00, 0x1DBF, Latin},     {0x1E00, 0x1EFF, Latin},    {0x1F00, 0x1FFF, Greek},
    {0x2C00, 0x2C5F, Other},     {0x2C60, 0x2C7F, Latin},    {0x2C80, 0x2CFF, Other},
    {0x2D00, 0x2D2F, Georgian},  {0x2D30, 0x2D7F, Other},    {0x2D80, 0x2DDF, Ethiopic},
    {0x2DE0, 0x2DFF, Cyrillic},  {0x2E80, 0x2FDF, Han},      {0x3005, 0x3007, Han},
    {0x3040, 0x30FF, Kana},      {0x3100, 0x312F, Other},    {0x3130, 0x318F, Hangul},
    {0x31F0, 0x31FF, Kana},      {0x3400, 0x4DBF, Han},      {0x4E00, 0x9FFF, Han},
    {0xA000, 0xA63F, Other},     {0xA640, 0xA69F, Cyrillic}, {0xA6A0, 0xA6FF, Other},
    {0xA720, 0xA7FF, Latin},     {0xA800, 0xA8DF, Other},    {0xA8E0, 0xA8FF, Devanagari},
    {0xA900, 0xA95F, Other},     {0xA960, 0xA97F, Hangul},   {0xA980, 0xAB2F, Other},
    {0xAB30, 0xAB6F, Latin},     {0xAB70, 0xABFF, Other},    {0xAC00, 0xD7FF, Hangul},
    {0xF900, 0xFAFF, Han},       {0xFB00, 0xFB06, Latin},    {0xFB1D, 0xFB4F, Hebrew},
    {0xFB50, 0xFDFF, Arabic},    {0xFE70, 0xFEFC, Arabic},   {0xFF21, 0xFF3A, Latin},
    {0xFF41, 0xFF5A, Latin},     {0xFF66, 0xFF9F, Kana},     {0xFFA0, 0xFFDC, Hangul},
    {0x10000, 0x1AFEF, Other},   {0x1AFF0, 0x1B16F, Kana},   {0x1B170, 0x1CFFF, Other},
    {0x1E000, 0x1EFFF, Other},   {0x20000, 0x3FFFF, Han},
};

constexpr std::array<std::string_view, kScripts> kNames{
    "none",    "Latin",     "Greek",    "Cyrillic", "Armenian", "Hebrew",   "Arabic",  "Devanagari",
    "Bengali", "Gurmukhi",  "Gujarati", "Odia",     "Tamil",    "Telugu",   "Kannada", "Malayalam",
    "Sinhala", "Thai",      "Lao",      "Tibetan",  "Myanmar",  "Georgian", "Hangul",  "Ethiopic",
    "Khmer",   "Mongolian", "Kana",     "Han",      "other"};

}  // namespace

std::string_view to_string(Script script) noexcept { return kNames[static_cast<std::size_t>(script)]; }

Script script_of(char32_t character) noexcept {
    const auto* const block =
        std::ranges::partition_point(kBlocks, [&](const Block& b) { return b.last < character; });
    return block != std::end(kBlocks) && block->first <= character ? block->script : None;
}

Script script_of(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    constexpr std::size_t kLongestCharacter = 4;
    for (std::size_t back = 1; begin > 0 && begin < text.size() && back < kLongestCharacter &&
                               (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80;
         ++back)
        --begin;
    while (begin < end) {
        const Decoded decoded = decode_utf8(text, begin);
        const Script script = decoded.valid ? script_of(decoded.code_point) : None;
        if (script != None) return script;
        begin += decoded.n_bytes;
    }
    return None;
}

}  // namespace assay::documents
