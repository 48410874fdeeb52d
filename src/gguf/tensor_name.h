#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace assay::gguf {

/// Block of the tensor with this name: "blk.7.attn_q.weight" is 7; nothing for a tensor outside blocks.
std::optional<std::int64_t> block_of(std::string_view name);

}  // namespace assay::gguf
