// The rows of a call: which chunks they are of, and what they count in sums.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

namespace assay::backend {

/// Where chunks begin that are not all of one length, and what rows count that do not all count 1. Backends
/// derive their own form. Immutable.
class RowTable {
  public:
    /// starts [n_chunks + 1], rising from 0, equal ones where a chunk has no row; weights [rows] f32 >= 0, or
    /// empty: 1.
    RowTable(std::span<const std::int64_t> starts, std::span<const float> weights)
        : starts_(starts.begin(), starts.end()), weights_(weights.begin(), weights.end()) {}
    virtual ~RowTable() = default;
    RowTable(const RowTable&) = delete;
    RowTable& operator=(const RowTable&) = delete;

    std::int64_t start(std::int64_t chunk) const { return starts_[static_cast<std::size_t>(chunk)]; }
    std::span<const std::int64_t> starts() const noexcept { return starts_; }
    std::span<const float> weights() const noexcept { return weights_; }

  private:
    std::vector<std::int64_t> starts_;
    std::vector<float> weights_;
};
using RowTablePtr = std::shared_ptr<const RowTable>;

/// Whole chunks one after another, each of consecutive rows; a row's position is counted within its chunk.
struct Rows {
    std::int64_t n_chunks = 0;
    std::int64_t chunk_tokens = 0;  ///< of each chunk, or with a table of the longest
    /// Borrowed, of the backend of the call. Null: all chunks have chunk_tokens rows, and each row counts 1.
    const RowTable* table = nullptr;
    std::int64_t table_chunk = 0;  ///< which of the table's is the first chunk

    /// All chunks of a table.
    static Rows of(const RowTable& table) {
        return Rows{std::ssize(table.starts()) - 1, 0, &table, 0}.range(0, std::ssize(table.starts()) - 1);
    }
    std::int64_t count() const { return first_row(n_chunks); }
    /// Of the chunk, counted from that of the call; n_chunks: behind the last one.
    std::int64_t first_row(std::int64_t chunk) const {
        return table == nullptr ? chunk * chunk_tokens
                                : table->start(table_chunk + chunk) - table->start(table_chunk);
    }
    std::int64_t tokens(std::int64_t chunk) const { return first_row(chunk + 1) - first_row(chunk); }
    /// Of the rows, or empty: 1.
    std::span<const float> weights() const {
        if (table == nullptr || table->weights().empty()) return {};
        return table->weights().subspan(static_cast<std::size_t>(table->start(table_chunk)),
                                        static_cast<std::size_t>(count()));
    }
    /// What the rows of a chunk count together: exact for multiples of 1/1024.
    double weight(std::int64_t chunk) const {
        const std::span<const float> all = weights();
        if (all.empty()) return static_cast<double>(tokens(chunk));
        const auto own =
            all.subspan(static_cast<std::size_t>(first_row(chunk)), static_cast<std::size_t>(tokens(chunk)));
        return std::accumulate(own.begin(), own.end(), 0.0);
    }
    /// Some of these chunks; without a table where they need none.
    Rows range(std::int64_t first, std::int64_t n) const {
        if (table == nullptr) return {n, chunk_tokens, nullptr, 0};
        std::int64_t longest = 0;
        for (std::int64_t chunk = first; chunk < first + n; ++chunk)
            longest = std::max(longest, tokens(chunk));
        const bool equal = first_row(first + n) - first_row(first) == n * longest;
        if (equal && table->weights().empty()) return {n, longest, nullptr, 0};
        return {n, longest, table, table_chunk + first};
    }
};

/// For operations that take chunks of one length: body(first_row, rows) for each run of such chunks, all of
/// whose rows count 1. Chunks without rows are left out.
template <typename Body> void each_equal_run(const Rows& rows, Body body) {
    for (std::int64_t chunk = 0; chunk < rows.n_chunks;) {
        const std::int64_t length = rows.tokens(chunk);
        std::int64_t end = chunk + 1;
        while (end < rows.n_chunks && rows.tokens(end) == length) ++end;
        if (length > 0) body(rows.first_row(chunk), Rows{end - chunk, length, nullptr, 0});
        chunk = end;
    }
}

}  // namespace assay::backend
