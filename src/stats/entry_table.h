// What `--show-statistics` shows since October 2026: the numbers of imatrix/entry_stats.h in the order of the
// table, and their sums by block. Formulas are llama-imatrix's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "imatrix/entry_stats.h"

namespace assay::stats {

/// Over the entries of one block. The relations are those to the preceding entries, with the columns of all
/// entries together; nan where no entry has one.
struct BlockRow {
    std::optional<int> block;  ///< absent: of the output projection
    float sum_sq = 0;          ///< added up in the order of the rows
    float gain = 0, l2_dist = 0, cossim = 0, pearson = 0, covariance = 0;
};

struct EntryTable {
    std::vector<imatrix::EntryStats> rows;  ///< by block, then short name; the output projection last
    std::vector<BlockRow> blocks;           ///< ascending; the output last
    std::optional<int> first_nextn;
    bool plain_sums = true;  ///< every row knows the sums of x
    /// A sentence where blocks are missing among those that are there: they are not comparable then.
    std::string gap;

    std::size_t n_blocks() const noexcept;  ///< without the output
};

/// Entries without data are left out. Notes tell of entries that lack a preceding one, and of sums of x that
/// only some entries have.
EntryTable entry_table(const imatrix::Matrix& matrix, imatrix::Notes& notes);

}  // namespace assay::stats
