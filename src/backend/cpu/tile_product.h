// A row tile times a panel, padding tiles that have fewer rows than the product wants.
#pragma once

#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm.h"

namespace assay::backend::cpu {

/// The products of one operation: x [rows, n_in] operand, results of at most one panel's columns at a time.
class TileProduct {
  public:
    /// c_stride 0: results go to a tile of the panel's own width (the thread's scratch).
    TileProduct(const Gemm& gemm, View x, const PackedMatrix& w, std::int64_t tile_rows, std::int64_t c_stride,
                bool accumulate)
        : gemm_(gemm), x_(x), w_(w), tile_rows_(tile_rows) {
        for (const Panel& panel : w.panels()) {
            const std::int64_t stride = c_stride == 0 ? panel.cols : c_stride;
            whole_.push_back(&gemm.product({tile_rows, x.cols, panel.cols, x.stride, stride, accumulate}));
            padded_.push_back(&gemm.product({tile_rows, x.cols, panel.cols, x.cols, panel.cols, false}));
            library_bytes_ = std::max({library_bytes_, Gemm::scratch_bytes(*whole_.back()),
                                       Gemm::scratch_bytes(*padded_.back())});
            max_cols_ = std::max(max_cols_, panel.cols);
        }
        library_bytes_ = (library_bytes_ + 63) / 64 * 64;
    }

    std::int64_t max_cols() const noexcept { return max_cols_; }
    std::size_t result_bytes() const noexcept { return static_cast<std::size_t>(tile_rows_ * max_cols_) * sizeof(float); }
    /// What run() needs of a thread's scratch.
    std::size_t scratch_bytes() const noexcept {
        return library_bytes_ + static_cast<std::size_t>(tile_rows_ * x_.cols * size_of(x_.dtype) + 63) / 64 * 64;
    }

    /// Into scratch [tile_rows, panel.cols]: rows behind n_rows hold whatever padding gave.
    void run(std::size_t panel, std::int64_t first_row, std::int64_t n_rows, float* result, std::byte* scratch) const {
        const std::byte* packed = w_.panel_data(w_.panels()[panel]);
        if (n_rows == tile_rows_) return gemm_.run(*whole_[panel], x_.at(first_row, 0), packed, result, scratch);
        gemm_.run(*padded_[panel], pad(first_row, n_rows, scratch + library_bytes_), packed, result, scratch);
    }

    /// A tile of fewer rows with results written (or added) to c, of which only n_rows are touched.
    void run_part(std::size_t panel, std::int64_t first_row, std::int64_t n_rows, bool accumulate, View c,
                  float* result, std::byte* scratch) const {
        run(panel, first_row, n_rows, result, scratch);
        const std::int64_t cols = w_.panels()[panel].cols;
        for (std::int64_t r = 0; r < n_rows; ++r) {
            auto* to = reinterpret_cast<float*>(c.at(first_row + r, w_.panels()[panel].first_col));
            for (std::int64_t j = 0; j < cols; ++j) to[j] = (accumulate ? to[j] : 0.0f) + result[r * cols + j];
        }
    }

  private:
    const std::byte* pad(std::int64_t first_row, std::int64_t n_rows, std::byte* to) const {
        const auto row_bytes = static_cast<std::size_t>(x_.cols * size_of(x_.dtype));
        for (std::int64_t r = 0; r < n_rows; ++r)
            std::memcpy(to + static_cast<std::size_t>(r) * row_bytes, x_.at(first_row + r, 0), row_bytes);
        std::memset(to + static_cast<std::size_t>(n_rows) * row_bytes, 0,
                    static_cast<std::size_t>(tile_rows_ - n_rows) * row_bytes);
        return to;
    }

    const Gemm& gemm_;
    View x_;
    const PackedMatrix& w_;
    std::int64_t tile_rows_;
    std::vector<const Product*> whole_;
    std::vector<const Product*> padded_;
    std::size_t library_bytes_ = 0;
    std::int64_t max_cols_ = 0;
};

}  // namespace assay::backend::cpu
