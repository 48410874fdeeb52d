// What a file holds that is not what was expected: downloads that became something else, and wrong arguments.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace assay {

struct Content {
    std::string_view name;  ///< with its article, "a ZIP archive"; empty when nothing is known
    bool is_text = false;   ///< may be meant as a text to be read
};

/// By the first bytes of a file, or all of them.
Content recognise(std::span<const std::byte> bytes);

}  // namespace assay
