// A row tile times a panel, through a copy where its rows are fewer than the product wants, or not dense.
#pragma once

#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm.h"

namespace assay::backend::cpu {

/// The products of one operation: x [rows, n_in] operand; one panel's columns at a time.
class TileProduct {
  public:
    TileProduct(const Gemm& gemm, View x, const PackedMatrix& w, std::int64_t tile_rows)
        : gemm_(gemm), x_(x), w_(w), tile_rows_(tile_rows) {
        for (const Panel& panel : w.panels()) {
            products_.push_back(&gemm.product({tile_rows, x.cols, panel.cols}));
            library_bytes_ = std::max(library_bytes_, round_up(Gemm::scratch_bytes(*products_.back())));
            max_cols_ = std::max(max_cols_, panel.cols);
        }
    }

    /// Of one result, [tile_rows, cols of the panel].
    std::size_t result_bytes() const noexcept {
        return round_up(static_cast<std::size_t>(tile_rows_ * max_cols_) * sizeof(float));
    }
    /// What run() needs of a thread's scratch beside the result.
    std::size_t scratch_bytes() const noexcept {
        return library_bytes_ + round_up(static_cast<std::size_t>(tile_rows_ * x_.cols * size_of(x_.dtype)));
    }

    /// Rows of the result behind n_rows hold whatever padding gave.
    void run(std::size_t panel, std::int64_t first_row, std::int64_t n_rows, float* result,
             std::byte* scratch) const {
        const std::byte* rows = n_rows == tile_rows_ && x_.stride == x_.cols
                                    ? x_.at(first_row, 0)
                                    : dense(first_row, n_rows, scratch + library_bytes_);
        gemm_.run(*products_[panel], rows, w_.panel_data(w_.panels()[panel]), result, scratch);
    }

  private:
    static std::size_t round_up(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }

    const std::byte* dense(std::int64_t first_row, std::int64_t n_rows, std::byte* to) const {
        const auto row_bytes = static_cast<std::size_t>(x_.cols * size_of(x_.dtype));
        const auto filled = static_cast<std::size_t>(n_rows) * row_bytes;
        for (std::int64_t r = 0; r < n_rows; ++r)
            std::memcpy(to + static_cast<std::size_t>(r) * row_bytes, x_.at(first_row + r, 0), row_bytes);
        std::memset(to + filled, 0, static_cast<std::size_t>(tile_rows_) * row_bytes - filled);
        return to;
    }

    const Gemm& gemm_;
    View x_;
    const PackedMatrix& w_;
    std::int64_t tile_rows_;
    std::vector<const Product*> products_;
    std::size_t library_bytes_ = 0;
    std::int64_t max_cols_ = 0;
};

}  // namespace assay::backend::cpu
