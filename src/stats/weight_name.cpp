#include "stats/weight_name.h"

#include "imatrix/entry_name.h"

namespace assay::stats {

using imatrix::block_number;
using imatrix::name_parts;

WeightName split_name(std::string_view name) {
    WeightName split{"-", std::nullopt, std::string(name)};
    const auto parts = name_parts(name);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i] == "blk" && i + 1 < parts.size()) {
            split.layer = parts[i + 1];
            split.block = block_number(parts[i + 1]);
        }
        if (parts[i] == "weight" && i > 0) split.tensor = parts[i - 1];
    }
    return split;
}

std::optional<std::string> name_in_previous_block(std::string_view name) {
    std::string previous;
    bool found = false;
    const auto parts = name_parts(name);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) previous += '.';
        const auto block = i > 0 && parts[i - 1] == "blk" && !found ? block_number(parts[i]) : std::nullopt;
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
