// Numbers about documents before they are run: who speaks, in which writing systems, how long.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "documents/tokens.h"

namespace assay::documents {

struct Survey {
    std::int64_t tokens = 0;
    std::array<std::int64_t, kRoles.size()> by_role{};
    std::array<std::int64_t, kScripts> by_script{};
    // Of documents, in tokens. Of an even number the median is the smaller one of the two in the middle.
    std::int64_t shortest = 0, median = 0, nine_tenths = 0, longest = 0;
    /// How many documents have 2^i to 2^(i+1) - 1 tokens, up to the longest.
    std::vector<std::int64_t> histogram;
};

Survey survey(std::span<const Document> documents);

}  // namespace assay::documents
