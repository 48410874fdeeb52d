// The backend on processors: backend.h over oneDNN products and the row kernels. Operations return when done.
//
// Work is cut into row tiles and column panels whose borders depend only on the shape, and partial sums are
// combined in tile order, so that results do not depend on threads or on how many chunks a call has.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/rope_tables.h"
#include "core/thread_pool.h"

namespace assay::backend::cpu {

/// Open to tests that let single operations fail.
class CpuBackend : public Backend {
  public:
    /// `isa` at most what the processor has. The pool is borrowed.
    CpuBackend(Isa isa, DType operand, std::int64_t chunk_tokens, ThreadPool& pool);

    std::string description() const override;
    std::string arithmetic() const override;
    DType operand_dtype() const noexcept override { return gemm_.operand_dtype(); }
    DType activation_dtype() const noexcept override { return DType::F32; }
    std::int64_t preferred_rows() const noexcept override;

    bool uses_host_memory() const noexcept override { return true; }
    BufferPtr allocate(std::size_t bytes) override;
    BufferPtr upload(std::span<const float> values) override;
    void download(const void* from, std::span<std::byte> to) override;
    void replace(void* to, std::span<const std::byte> from) override;
    LandingPtr make_landing() override;
    void synchronize() override {}
    using Backend::prepare;
    MatrixPtr prepare(std::span<const WeightSource> stacked, DType operand) override;

    void embed(const WeightSource& table, std::span<const std::int32_t> tokens, float scale,
               std::int64_t first, View out) override;
    void observe(View x, Rows rows, const Produced& out) override;
    void norm(View x, const Norm& norm, Rows rows, const Produced& out) override;
    void linear(View x, const Matrix& w, const float* bias, bool accumulate, View out) override;
    void rotate_heads(View x, std::int64_t n_heads, const Norm& norm, bool norm_last, const Rope& rope,
                      Rows rows) override;
    void copy_heads(View x, const HeadColumns& heads, View out) override;
    void attention(const AttentionArgs& args, Rows rows, const Produced& out) override;
    void gated_linear(View x, const Matrix& gate_up, const float* bias, const GateFunction& function,
                      Rows rows, const Produced& out) override;
    void add(View x, const Norm& norm, float scale, View residual) override;
    void convolve(const ConvolveArgs& args, Rows rows, View out) override;
    void scan(const ScanArgs& args, Rows rows, View out) override;
    void selective_scan(const SelectiveScanArgs& args, Rows rows, View out) override;
    void chain(View x, std::span<const Link> links, Rows rows, const Produced& out) override;
    void mix(View x, View coefficients, std::int64_t n_in, std::int64_t n_out, bool accumulate,
             View out) override;
    void reduce(View x, Reduction kind, std::int64_t n_slices, View out) override;
    void softmax(View x, std::int64_t n_slices, View out) override;
    void sinkhorn(View x, std::int64_t n, std::int64_t iterations, float eps, View out) override;
    void pool(const PoolArgs& args, Rows rows, View out) override;
    void select(const SelectArgs& args, Rows rows, View out) override;
    RoutingPtr route(View logits, const RouteArgs& args, Rows rows) override;
    std::uint64_t expert_bytes() const noexcept override;
    void experts(View x, const Routing& routing, const ExpertBatch& batch, Rows rows, View out) override;
    ScoreStatePtr begin_scores(std::span<const std::int32_t> targets, std::size_t n_variants) override;
    void add_scores(ScoreState& state, std::span<const ScoredSide> sides, const Logits& logits) override;
    Scores finish_scores(ScoreState& state) override;
    void clear(View out) override;
    void row_products(View a, View b, double* out) override;

  private:
    const Gemm& gemm_for(DType operand) const noexcept {
        return operand == gemm_.operand_dtype() ? gemm_ : exact_gemm_;
    }
    const Gemm& gemm_for(const PackedMatrix& matrix) const noexcept {
        return gemm_for(matrix.operand_dtype());
    }
    /// Memory of one thread for the length of one task; grows, never shrinks. Contents are undefined.
    std::byte* scratch(int thread, std::size_t bytes);
    /// Memory of one operation, likewise.
    std::byte* gathered(std::size_t bytes);

    /// Rows of chunks in runs of at most kRowTile, never across two chunks.
    struct RowTile {
        std::int64_t chunk = 0;
        std::int64_t first_row = 0;
        std::int64_t n_rows = 0;
        std::int64_t first_position = 0;  ///< of the first row within its chunk
    };
    static std::vector<RowTile> row_tiles(Rows rows, std::int64_t tile_rows);
    struct TileRun {
        std::size_t first = 0;  ///< index of a tile
        std::int64_t first_row = 0;
        std::int64_t end_row = 0;
    };
    static std::vector<TileRun> tile_runs(std::span<const RowTile> tiles, std::int64_t most_rows);
    /// Runs body for every row, kRowTile of them a task.
    void each_row(std::int64_t n_rows, const std::function<void(std::int64_t row)>& body);

    /// Sums of each row tile, [tiles, cols], of those that are wanted; zero at first.
    class TileSums {
      public:
        TileSums(const Sums& wanted, std::size_t n_tiles, std::int64_t cols);
        /// Where those of a tile are, from a column on.
        Sums at(std::int64_t tile, std::int64_t first_col = 0) noexcept;
        /// Adds the tiles of each chunk, in order, to the sums that are wanted: 0 for one without any.
        void combine(std::span<const RowTile> tiles, std::int64_t n_chunks, const Sums& wanted) const;

      private:
        std::int64_t cols_;
        std::vector<float> squares_;
        std::vector<float> plain_;
    };

    /// Runs make_row(row, position, f32 result) for every row and leaves the result as `out` asks. cols is
    /// the row length.
    void produce(Rows rows, std::int64_t cols, const Produced& out,
                 const std::function<void(std::int64_t row, std::int64_t position, float* result)>& make_row);
    /// Leaves one finished f32 row: operand, plain, and added to `sums`, which are the tile's.
    void finish_row(const float* values, std::int64_t row, std::int64_t first_col, std::int64_t cols,
                    const Produced& out, const Sums& sums, float weight = 1) const;

    const Kernels& kernels_;
    Gemm gemm_;
    Gemm exact_gemm_;  ///< f32 operands
    ThreadPool& pool_;
    std::mutex packing_;  ///< a pool has one caller at a time
    ThreadPool packers_;
    std::int64_t tile_rows_;
    RopeTables rope_tables_;
    std::vector<std::unique_ptr<AlignedBuffer>> scratch_;
    std::unique_ptr<AlignedBuffer> gathered_;
};

/// What a row counts.
inline float weight_of(std::span<const float> weights, std::int64_t row) {
    return weights.empty() ? 1.0f : weights[static_cast<std::size_t>(row)];
}

/// Tasks of element-wise operations, and the length of f32 partial sums.
constexpr std::int64_t kRowTile = 64;

}  // namespace assay::backend::cpu
