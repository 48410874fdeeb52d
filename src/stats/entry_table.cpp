#include "stats/entry_table.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <tuple>

namespace assay::stats {

namespace {

using imatrix::EntryStats;

bool is_output(const EntryStats& entry) { return entry.name.find("output") != std::string::npos; }

/// Names without a block come behind all blocks, those with "output" last.
auto place(const EntryStats& entry) {
    return std::tuple(entry.parts.block.value_or(INT_MAX), !entry.parts.block,
                      !entry.parts.block && is_output(entry), std::string_view(entry.parts.short_name));
}

struct BlockSums {
    float sum_sq = 0;
    bool related = false;
    imatrix::ColumnPairs pairs;
    // Of entries whose preceding one has energy.
    double energy = 0, energy_before = 0;
    double elements = 0, elements_before = 0;

    void relate(const EntryStats& entry, const EntryStats& before) {
        if (!entry.pairs || entry.pairs->all_zero()) return;
        related = true;
        pairs.add(*entry.pairs);
        if (before.energy <= imatrix::kNoEnergy) return;
        energy += entry.energy;
        energy_before += before.energy;
        elements += static_cast<double>(entry.elements);
        elements_before += static_cast<double>(before.elements);
    }
    BlockRow row(std::optional<int> block) const {
        constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
        BlockRow row{block, sum_sq, kNan, kNan, kNan, kNan, kNan};
        if (!related) return row;
        if (elements_before > 0)
            row.gain =
                static_cast<float>(std::sqrt(energy / elements) / std::sqrt(energy_before / elements_before));
        row.l2_dist = static_cast<float>(std::sqrt(pairs.distance_sq));
        row.cossim = static_cast<float>(pairs.cosine());
        row.pearson = static_cast<float>(pairs.pearson());
        row.covariance = static_cast<float>(pairs.covariance());
        return row;
    }
};

std::vector<BlockRow> block_rows(const EntryTable& table, const std::vector<EntryStats>& entries) {
    std::map<int, BlockSums> blocks;
    std::optional<BlockSums> output;
    for (const EntryStats& row : table.rows) {
        if (!row.parts.block && !is_output(row)) continue;
        BlockSums& sums = row.parts.block ? blocks[*row.parts.block] : output ? *output : output.emplace();
        sums.sum_sq = static_cast<float>(double{sums.sum_sq} + row.energy);
        if (row.preceding) sums.relate(row, entries[*row.preceding]);
    }
    std::vector<BlockRow> rows;
    for (const auto& [block, sums] : blocks) rows.push_back(sums.row(block));
    if (output) rows.push_back(output->row({}));
    return rows;
}

std::string gap_sentence(const EntryTable& table) {
    std::vector<int> trunk;
    for (const BlockRow& row : table.blocks)
        if (row.block && !(table.first_nextn && *row.block >= *table.first_nextn))
            trunk.push_back(*row.block);
    if (trunk.empty()) return {};
    const std::int64_t expected = std::int64_t{trunk.back()} - trunk.front() + 1;
    if (expected == std::ssize(trunk)) return {};
    return fmt::format(
        "show_statistics: layer sequence gap detected (found {} layers in range {}-{}, expected {}); layer "
        "statistics will not be shown",
        trunk.size(), trunk.front(), trunk.back(), expected);
}

}  // namespace

std::size_t EntryTable::n_blocks() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(blocks, [](const BlockRow& row) { return row.block.has_value(); }));
}

EntryTable entry_table(const imatrix::Matrix& matrix, imatrix::Notes& notes) {
    const imatrix::MatrixStats stats = imatrix::matrix_stats(matrix);
    EntryTable table;
    table.first_nextn = stats.first_nextn;
    for (const EntryStats& entry : stats.entries) {
        if (entry.elements == 0) continue;
        table.rows.push_back(entry);
        if (entry.lacks_preceding)
            notes.push_back(
                fmt::format("compute_tensor_statistics: no preceding-layer tensor for '{}'", entry.name));
    }
    std::ranges::stable_sort(table.rows, {}, place);
    const auto lacking = std::ranges::count(table.rows, false, &EntryStats::has_sums);
    table.plain_sums = lacking == 0;
    if (lacking != 0 && lacking != std::ssize(table.rows))
        notes.push_back(
            fmt::format("show_statistics: {} of {} tensors have no activation data, using the legacy layout",
                        lacking, table.rows.size()));
    table.blocks = block_rows(table, stats.entries);
    table.gap = gap_sentence(table);
    return table;
}

}  // namespace assay::stats
