// The operations over one CUDA device.
#pragma once

#include <fmt/format.h>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "backend/cuda/products.h"
#include "backend/cuda/routing.h"
#include "backend/cuda/sums.h"
#include "backend/cuda/weights.h"

namespace assay::backend::cuda {

/// Experts gather their rows into no more than this part of the memory at a time.
constexpr std::uint64_t kExpertShare = 32;
/// Logits of rows with a panel of the vocabulary, at a time.
constexpr std::int64_t kLogitBytes = std::int64_t{256} << 20;

class CudaBackend final : public Backend {
  public:
    /// dtype: of operands and activations. memory_bytes: to be taken at most; 0: what is free.
    /// kind: the device's name, its products and its memory, by which algorithms are chosen.
    CudaBackend(DevicePtr device, DType dtype, std::uint64_t memory_bytes, std::string kind);
    ~CudaBackend() override;

    std::string description() const override { return fmt::format("cuda:{} ({})", device_->index(), kind_); }
    std::string arithmetic() const override { return fmt::format("cuda ({})", kind_); }
    DType operand_dtype() const noexcept override { return dtype_; }
    DType activation_dtype() const noexcept override { return dtype_; }
    std::int64_t preferred_rows() const noexcept override { return preferred_rows_; }

    bool uses_host_memory() const noexcept override { return false; }
    std::optional<std::uint64_t> room_bytes() const override;
    BufferPtr allocate(std::size_t bytes) override;
    BufferPtr upload(std::span<const float> values) override;
    void download(const void* from, std::span<std::byte> to) override;
    void replace(void* to, std::span<const std::byte> from) override;
    RowTablePtr lay_out(std::span<const std::int64_t> starts, std::span<const float> weights) override;
    LandingPtr make_landing() override;
    void synchronize() override;

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
    void experts(View x, const Routing& routing, const ExpertBatch& batch, Rows rows, View out) override;
    ScoreStatePtr begin_scores(std::span<const std::int32_t> targets, std::size_t n_variants) override;
    void add_scores(ScoreState& state, std::span<const ScoredSide> sides, const Logits& logits) override;
    Scores finish_scores(ScoreState& state) override;
    void clear(View out) override;
    void row_products(View a, View b, double* out) override;

  private:
    void produce_rows(View x, const Norm& norm, Rows rows, const Produced& out);
    /// Of one chunk; out [n_tokens, n_heads * value_dim] f32. Only where fits_products().
    void attention_products(const AttentionArgs& args, std::int64_t n_tokens, View out);
    /// Once this returns, work enqueued on the compute stream sees the finished weights.
    Product product_of(View x, const DeviceMatrix& w, const float* bias, bool accumulate, View out,
                       std::int64_t nominal_rows) const;
    void multiply(View x, const DeviceMatrix& w, const float* bias, bool accumulate, View out);
    /// Experts first .. first + n of the batch, all packed at the same time.
    void run_experts(View x, const DeviceRouting& routing, const ExpertBatch& batch, std::int64_t first,
                     std::int64_t n, View out);

    DevicePtr device_;
    DType dtype_;
    std::uint64_t memory_bytes_;  ///< to be taken of the device's
    std::string kind_;
    std::int64_t preferred_rows_;
    Loader loader_;
    Products products_;
    PinnedMemory landing_;
};

}  // namespace assay::backend::cuda
