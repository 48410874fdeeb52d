#include "model/table_rows.h"

namespace assay::model {

namespace {

/// The row of the last of `tokens`, which begin where its chunk does.
std::int32_t ngram_row(const Ngram& ngram, std::span<const std::int32_t> tokens) {
    std::uint64_t mixed = 0;
    bool ended = false;
    for (std::size_t back = 0; back < ngram.multipliers.size(); ++back) {
        const bool there = back < tokens.size();
        const std::int32_t token = there ? tokens[tokens.size() - 1 - back] : ngram.end;
        ended = ended || !there || (back > 0 && token == ngram.end);
        mixed ^= ngram.multipliers[back] * static_cast<std::uint64_t>(ended ? ngram.end : token);
    }
    return static_cast<std::int32_t>(ngram.first_row) +
           static_cast<std::int32_t>(mixed % static_cast<std::uint64_t>(ngram.n_rows));
}

}  // namespace

std::vector<std::int32_t> table_rows(const Lookup& lookup, std::span<const std::int32_t> tokens) {
    std::vector<std::int32_t> rows(tokens.begin(), tokens.end());
    if (lookup.row == Lookup::Row::Token) return rows;
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i] = lookup.row == Lookup::Row::Position ? static_cast<std::int32_t>(i)
                                                      : ngram_row(lookup.ngram, tokens.first(i + 1));
    return rows;
}

}  // namespace assay::model
