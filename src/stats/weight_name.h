// What a table needs from a weight's name: its block and its short name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assay::stats {

struct WeightName {
    std::string layer;         ///< the part after "blk", "-" without one
    std::optional<int> block;  ///< `layer` as a number, where it is one
    std::string tensor;        ///< the part before "weight", the whole name without one
};

/// "blk.3.nextn.eh_proj.weight" is layer 3, tensor eh_proj: the rule of llama-imatrix's tables.
WeightName split_name(std::string_view name);

/// The same weight one block earlier; nothing for the first block and for names without a block.
std::optional<std::string> name_in_previous_block(std::string_view name);

}  // namespace assay::stats
