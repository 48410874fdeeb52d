#include "documents/survey.h"

#include <algorithm>
#include <bit>

namespace assay::documents {

Survey survey(std::span<const Document> documents) {
    Survey out;
    std::vector<std::int64_t> lengths;
    for (const Document& document : documents) {
        const std::size_t n_tokens = document.ids.size();
        lengths.push_back(static_cast<std::int64_t>(n_tokens));
        const auto bin = static_cast<std::size_t>(std::bit_width(std::max<std::size_t>(n_tokens, 1))) - 1;
        if (bin >= out.histogram.size()) out.histogram.resize(bin + 1);
        ++out.histogram[bin];
        for (const Role role : document.roles) ++out.by_role[index_of(role)];
        for (const Script script : document.scripts) ++out.by_script[static_cast<std::size_t>(script)];
        out.tokens += lengths.back();
    }
    if (lengths.empty()) return out;
    std::ranges::sort(lengths);
    // The smallest length that so large a part of the documents does not exceed.
    const auto at = [&](std::size_t tenths) { return lengths[(lengths.size() * tenths + 9) / 10 - 1]; };
    out.shortest = lengths.front();
    out.median = at(5);
    out.nine_tenths = at(9);
    out.longest = lengths.back();
    return out;
}

}  // namespace assay::documents
