#include "gguf/tensor_name.h"

#include <charconv>

namespace assay::gguf {

std::optional<std::int64_t> block_of(std::string_view name) {
    constexpr std::string_view kBlock = "blk.";
    if (!name.starts_with(kBlock)) return std::nullopt;
    const char* const end = name.data() + name.size();
    std::int64_t block = -1;
    const auto [rest, error] = std::from_chars(name.data() + kBlock.size(), end, block);
    return error == std::errc{} && rest != end && *rest == '.' && block >= 0 ? std::optional(block)
                                                                             : std::nullopt;
}

}  // namespace assay::gguf
