#include "imatrix/entry_name.h"

#include <algorithm>
#include <charconv>
#include <span>

namespace assay::imatrix {

namespace {

constexpr std::size_t kPlainParts = 4;  // of blk.N.NAME.weight

std::string join(std::span<const std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) text.append(text.empty() ? "" : ".").append(part);
    return text;
}

}  // namespace

std::vector<std::string_view> name_parts(std::string_view name) {
    std::vector<std::string_view> parts;
    for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
        parts.push_back(name.substr(0, dot));
        name.remove_prefix(dot + 1);
    }
    parts.push_back(name);
    return parts;
}

std::optional<int> block_number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

EntryName parse_entry_name(std::string_view name) {
    EntryName result{std::nullopt, std::string(name), {}};
    std::vector<std::string_view> parts = name_parts(name);
    const auto blk = std::ranges::find(parts, "blk");
    const auto weight = std::ranges::find(parts, "weight");
    const bool in_block = blk != parts.end() && blk + 1 != parts.end();
    const auto begin = in_block ? blk + 2 : parts.begin();
    const bool whole = in_block && parts.size() <= kPlainParts;
    if (weight != parts.end() && begin < weight && !whole) result.short_name = join({begin, weight});
    if (!in_block) return result;
    result.block = block_number(*(blk + 1));
    if (!result.block) return result;
    *(blk + 1) = {};
    result.without_block = join(parts);
    return result;
}

}  // namespace assay::imatrix
