// What the oracle computes with: rows of doubles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace assay::oracle {

struct Table {
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::vector<double> values{};  ///< row-major

    Table() = default;
    Table(std::int64_t n_rows, std::int64_t n_cols)
        : rows(n_rows), cols(n_cols), values(static_cast<std::size_t>(n_rows * n_cols)) {}

    double& at(std::int64_t row, std::int64_t col) {
        return values[static_cast<std::size_t>(row * cols + col)];
    }
    double at(std::int64_t row, std::int64_t col) const {
        return values[static_cast<std::size_t>(row * cols + col)];
    }
};

using Numbers = std::vector<float>;

inline double at(const Numbers& numbers, std::int64_t index) {
    return static_cast<double>(numbers[static_cast<std::size_t>(index)]);
}

/// Columns [first, first + count) of x.
inline Table columns(const Table& x, std::int64_t first, std::int64_t count) {
    Table y(x.rows, count);
    for (std::int64_t r = 0; r < x.rows; ++r)
        for (std::int64_t c = 0; c < count; ++c) y.at(r, c) = x.at(r, first + c);
    return y;
}

/// from becomes columns first, first + 1, ... of to.
inline void place(const Table& from, std::int64_t first, Table& to) {
    for (std::int64_t r = 0; r < from.rows; ++r)
        for (std::int64_t c = 0; c < from.cols; ++c) to.at(r, first + c) = from.at(r, c);
}

}  // namespace assay::oracle
