// Products of the CPU backend: oneDNN behind an interface of fixed-size row tiles and packed panels.
//
// Where the processor has no bf16 products, bf16 operands are widened to f32 right before each product: they
// take the memory of bf16, and their products are exact.
//
// oneDNN's result for a row depends on how many rows and threads a call has (seen with 2.6.3, bf16), so every
// call here has one fixed number of rows, the last tile padded, and runs on the one thread that made it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/page_pool.h"
#include "core/thread_pool.h"
#include "quant/decode.h"

namespace assay::backend::cpu {

/// Memory aligned to cache lines and pages, not initialised.
class AlignedBuffer : public Buffer {
  public:
    explicit AlignedBuffer(std::size_t bytes);
    ~AlignedBuffer() override;
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
};

/// A run of output columns that one product computes.
struct Panel {
    std::int64_t first_col = 0;
    std::int64_t cols = 0;
    std::size_t offset_bytes = 0;  ///< of its packed weights
};

class PackedMatrix : public Matrix {
  public:
    PackedMatrix(DType operand, std::int64_t n_in, std::int64_t n_out, std::vector<Panel> panels,
                 std::shared_ptr<const PageMemory> memory)
        : operand_(operand),
          n_in_(n_in),
          n_out_(n_out),
          panels_(std::move(panels)),
          memory_(std::move(memory)) {}
    DType operand_dtype() const noexcept { return operand_; }
    std::int64_t n_in() const noexcept override { return n_in_; }
    std::int64_t n_out() const noexcept override { return n_out_; }
    std::size_t size_bytes() const noexcept override { return memory_->bytes().size(); }

    /// Panels never cross the border between stacked sources; sources of equal shape have equal panels.
    std::span<const Panel> panels() const noexcept { return panels_; }
    std::byte* panel_data(const Panel& panel) const noexcept {
        return memory_->bytes().data() + panel.offset_bytes;
    }

  private:
    DType operand_;
    std::int64_t n_in_;
    std::int64_t n_out_;
    std::vector<Panel> panels_;
    std::shared_ptr<const PageMemory> memory_;
};

/// One compiled product: c [tile_rows, cols] f32 = a [tile_rows, n_in] * panel, both dense: oneDNN 2.6.3
/// leaves its fast path for any other stride.
class Product;

/// Keeps the library to instructions of this level. Takes effect before its first use in a process only.
void limit_library(Isa isa) noexcept;

class Gemm {
  public:
    /// `isa` decides how weights are decoded and whether bf16 operands are widened.
    Gemm(DType operand, const Kernels& kernels, Isa isa);
    ~Gemm();

    DType operand_dtype() const noexcept { return operand_; }

    /// Decodes, converts and packs, panels shared out to the pool.
    std::shared_ptr<const PackedMatrix> pack(std::span<const WeightSource> stacked, ThreadPool& pool) const;

    struct Shape {
        std::int64_t tile_rows = 0;
        std::int64_t n_in = 0;
        std::int64_t cols = 0;
        auto operator<=>(const Shape&) const = default;
    };
    /// Compiled on first use, kept for ever. Any thread.
    const Product& product(const Shape& shape) const;

    /// a and c have all tile_rows rows. `scratch` has scratch_bytes() of this product, one per thread, and
    /// begins on a cache line.
    void run(const Product& product, const void* a, const void* panel, float* c, std::byte* scratch) const;
    static std::size_t scratch_bytes(const Product& product) noexcept;

  private:
    /// Of what is multiplied. For each `width` output columns, the words (one f32 or two bf16) of all inputs:
    /// [blocks][words][width], zeros behind the last input and column. Width 0: another layout, which only
    /// the library makes.
    struct PanelLayout {
        std::int64_t size_bytes = 0;
        std::int64_t words = 0;
        std::int64_t width = 0;
    };
    /// Asked of the library once for each size. Any thread.
    PanelLayout layout(std::int64_t n_in, std::int64_t cols) const;
    bool widens() const noexcept { return multiplied_ != operand_; }
    /// `cols` rows of the source become columns of a panel of operands: of what is multiplied, rounded where
    /// that was widened.
    void pack_panel(const WeightSource& source, std::int64_t first_row, std::int64_t cols,
                    std::byte* out) const;
    /// The same of what is multiplied, as the next two.
    void pack_multiplied(const WeightSource& source, std::int64_t first_row, std::int64_t cols,
                         std::byte* out) const;
    void pack_by_library(const WeightSource& source, std::int64_t first_row, std::int64_t cols,
                         std::byte* out) const;
    /// Rows, `out_stride` bytes apart, zeros behind the last value of each.
    void decode_rows(const WeightSource& source, std::int64_t first, std::int64_t count,
                     std::size_t out_stride, std::byte* out) const;

    DType operand_;
    DType multiplied_;  ///< by the library: operands as they are, or widened to f32
    const Kernels& kernels_;
    Isa isa_;
    mutable PagePool pages_;
    mutable std::mutex mutex_;
    mutable std::map<Shape, std::unique_ptr<Product>> products_;
    mutable std::map<std::pair<std::int64_t, std::int64_t>, PanelLayout> layouts_;
};

}  // namespace assay::backend::cpu
