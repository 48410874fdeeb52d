// What statistics read from an entry's name: the block, and what the names of one weight in several blocks
// share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay::imatrix {

/// What stands between the dots of a name.
std::vector<std::string_view> name_parts(std::string_view name);
/// The part behind `blk` as a number; nothing for another text, or one below 0.
std::optional<int> block_number(std::string_view text);

struct EntryName {
    std::optional<int> block;  ///< the number behind the first part `blk`
    /// "blk.3.indexer.attn_k.weight" is "indexer.attn_k", "output.weight" is "output", and a name of a block
    /// with at most four parts is itself: the order of llama-imatrix's tables rests on it.
    std::string short_name;
    std::string without_block;  ///< the name less the number; empty where there is none
};

EntryName parse_entry_name(std::string_view name);

}  // namespace assay::imatrix
