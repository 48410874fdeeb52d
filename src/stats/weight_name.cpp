#include "stats/weight_name.h"

#include <charconv>
#include <vector>

namespace assay::stats {

namespace {

std::vector<std::string_view> parts_of(std::string_view name) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t dot = name.find('.');
        parts.push_back(name.substr(0, dot));
        if (dot == std::string_view::npos) return parts;
        name.remove_prefix(dot + 1);
    }
}

std::optional<int> number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

WeightName split_name(std::string_view name) {
    WeightName split{"-", std::nullopt, std::string(name)};
    const auto parts = parts_of(name);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i] == "blk" && i + 1 < parts.size()) {
            split.layer = parts[i + 1];
            split.block = number(parts[i + 1]);
        }
        if (parts[i] == "weight" && i > 0) split.tensor = parts[i - 1];
    }
    return split;
}

std::optional<std::string> name_in_previous_block(std::string_view name) {
    std::string previous;
    bool found = false;
    const auto parts = parts_of(name);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) previous += '.';
        const auto block = i > 0 && parts[i - 1] == "blk" && !found ? number(parts[i]) : std::nullopt;
        if (!block) {
            previous += parts[i];
            continue;
        }
        if (*block == 0) return std::nullopt;
        previous += std::to_string(*block - 1);
        found = true;
    }
    if (!found) return std::nullopt;
    return previous;
}

}  // namespace assay::stats
