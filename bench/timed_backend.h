// A backend that measures another: time and floating-point operations per kind of operation.
#pragma once

#include <array>
#include <chrono>
#include <string_view>

#include "backend/backend.h"

namespace assay::bench {

enum class Stage {
    Embed,
    Norm,
    Linear,
    Rotate,
    Attention,
    Gated,
    Add,
    Scan,
    Chain,
    Route,
    Experts,
    Losses,
    Other,
    Count
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Stage::Count)> kStageNames{
    "embed", "norm + sums", "linear", "rotate",  "attention", "gated", "add",
    "scan",  "chain",       "route",  "experts", "losses",    "other"};

struct StageTotal {
    double seconds = 0;
    double flop = 0;
};

/// Forwards everything. Operations are timed on the calling thread, so on devices that run ahead each one is
/// followed by a wait.
class TimedBackend final : public backend::Backend {
  public:
    explicit TimedBackend(backend::Backend& inner) : inner_(inner) {}
    const StageTotal& total(Stage stage) const { return totals_[static_cast<std::size_t>(stage)]; }

    std::string description() const override { return inner_.description(); }
    std::string arithmetic() const override { return inner_.arithmetic(); }
    backend::DType operand_dtype() const noexcept override { return inner_.operand_dtype(); }
    backend::DType activation_dtype() const noexcept override { return inner_.activation_dtype(); }
    std::int64_t preferred_rows() const noexcept override { return inner_.preferred_rows(); }
    bool uses_host_memory() const noexcept override { return inner_.uses_host_memory(); }
    std::optional<std::uint64_t> room_bytes() const override { return inner_.room_bytes(); }
    backend::BufferPtr allocate(std::size_t bytes) override { return inner_.allocate(bytes); }
    backend::BufferPtr upload(std::span<const float> values) override { return inner_.upload(values); }
    void download(const void* from, std::span<std::byte> to) override { inner_.download(from, to); }
    void replace(void* to, std::span<const std::byte> from) override { inner_.replace(to, from); }
    backend::LandingPtr make_landing() override { return inner_.make_landing(); }
    backend::RowTablePtr lay_out(std::span<const std::int64_t> starts,
                                 std::span<const float> weights) override {
        return inner_.lay_out(starts, weights);
    }
    void synchronize() override { inner_.synchronize(); }
    using Backend::prepare;
    backend::MatrixPtr prepare(std::span<const backend::WeightSource> stacked,
                               backend::DType operand) override {
        return inner_.prepare(stacked, operand);
    }

    void embed(const backend::WeightSource& table, std::span<const std::int32_t> tokens, float scale,
               std::int64_t first, backend::View out) override {
        time(Stage::Embed, 0, [&] { inner_.embed(table, tokens, scale, first, out); });
    }
    void observe(backend::View x, backend::Rows rows, const backend::Produced& out) override {
        time(Stage::Norm, 0, [&] { inner_.observe(x, rows, out); });
    }
    void norm(backend::View x, const backend::Norm& norm, backend::Rows rows,
              const backend::Produced& out) override {
        time(Stage::Norm, 0, [&] { inner_.norm(x, norm, rows, out); });
    }
    void linear(backend::View x, const backend::Matrix& w, const float* bias, bool accumulate,
                backend::View out) override {
        time(Stage::Linear, product(x.rows, w), [&] { inner_.linear(x, w, bias, accumulate, out); });
    }
    void rotate_heads(backend::View x, std::int64_t n_heads, const backend::Norm& norm, bool norm_last,
                      const backend::Rope& rope, backend::Rows rows) override {
        time(Stage::Rotate, 0, [&] { inner_.rotate_heads(x, n_heads, norm, norm_last, rope, rows); });
    }
    void copy_heads(backend::View x, const backend::HeadColumns& heads, backend::View out) override {
        time(Stage::Rotate, 0, [&] { inner_.copy_heads(x, heads, out); });
    }
    void attention(const backend::AttentionArgs& args, backend::Rows rows,
                   const backend::Produced& out) override {
        double pairs = 0;
        for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
            pairs += static_cast<double>(rows.tokens(chunk) * (rows.tokens(chunk) + 1)) / 2;
        const auto per_pair = static_cast<double>(2 * args.n_heads * (args.head_dim + args.value_dim));
        time(Stage::Attention, pairs * per_pair, [&] { inner_.attention(args, rows, out); });
    }
    void gated_linear(backend::View x, const backend::Matrix& gate_up, const float* bias,
                      const GateFunction& function, backend::Rows rows,
                      const backend::Produced& out) override {
        time(Stage::Gated, product(x.rows, gate_up),
             [&] { inner_.gated_linear(x, gate_up, bias, function, rows, out); });
    }
    void add(backend::View x, const backend::Norm& norm, float scale, backend::View residual) override {
        time(Stage::Add, 0, [&] { inner_.add(x, norm, scale, residual); });
    }
    void convolve(const backend::ConvolveArgs& args, backend::Rows rows, backend::View out) override {
        time(Stage::Scan, 0, [&] { inner_.convolve(args, rows, out); });
    }
    void scan(const backend::ScanArgs& args, backend::Rows rows, backend::View out) override {
        time(Stage::Scan, 0, [&] { inner_.scan(args, rows, out); });
    }
    void selective_scan(const backend::SelectiveScanArgs& args, backend::Rows rows,
                        backend::View out) override {
        time(Stage::Scan, 0, [&] { inner_.selective_scan(args, rows, out); });
    }
    void chain(backend::View x, std::span<const backend::Link> links, backend::Rows rows,
               const backend::Produced& out) override {
        time(Stage::Chain, 0, [&] { inner_.chain(x, links, rows, out); });
    }
    void mix(backend::View x, backend::View coefficients, std::int64_t n_in, std::int64_t n_out,
             bool accumulate, backend::View out) override {
        time(Stage::Chain, 0, [&] { inner_.mix(x, coefficients, n_in, n_out, accumulate, out); });
    }
    void pool(const backend::PoolArgs& args, backend::Rows rows, backend::View out) override {
        time(Stage::Chain, 0, [&] { inner_.pool(args, rows, out); });
    }
    void select(const backend::SelectArgs& args, backend::Rows rows, backend::View out) override {
        time(Stage::Chain, 0, [&] { inner_.select(args, rows, out); });
    }
    void reduce(backend::View x, Reduction kind, std::int64_t n_slices, backend::View out) override {
        time(Stage::Chain, 0, [&] { inner_.reduce(x, kind, n_slices, out); });
    }
    void softmax(backend::View x, std::int64_t n_slices, backend::View out) override {
        time(Stage::Chain, 0, [&] { inner_.softmax(x, n_slices, out); });
    }
    void sinkhorn(backend::View x, std::int64_t n, std::int64_t iterations, float eps,
                  backend::View out) override {
        time(Stage::Chain, 0, [&] { inner_.sinkhorn(x, n, iterations, eps, out); });
    }
    backend::RoutingPtr route(backend::View logits, const backend::RouteArgs& args,
                              backend::Rows rows) override {
        backend::RoutingPtr routing;
        time(Stage::Route, 0, [&] { routing = inner_.route(logits, args, rows); });
        return routing;
    }
    void experts(backend::View x, const backend::Routing& routing, const backend::ExpertBatch& batch,
                 backend::Rows rows, backend::View out) override {
        double flop = 0;
        for (std::size_t e = 0; e < batch.gate_up.size(); ++e)
            for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk) {
                const auto n = static_cast<std::int64_t>(
                    routing.count(chunk, batch.first + static_cast<std::int64_t>(e)));
                flop += product(n, *batch.gate_up[e]);
                if (!batch.down.empty()) flop += product(n, *batch.down[e]);
            }
        time(Stage::Experts, flop, [&] { inner_.experts(x, routing, batch, rows, out); });
    }
    backend::ScoreStatePtr begin_scores(std::span<const std::int32_t> targets,
                                        std::size_t n_variants) override {
        return inner_.begin_scores(targets, n_variants);
    }
    void add_scores(backend::ScoreState& state, std::span<const backend::ScoredSide> sides,
                    const backend::Logits& logits) override {
        double flop = 0;
        for (const backend::ScoredSide& side : sides) flop += product(side.x.rows, *side.panel);
        time(Stage::Losses, flop, [&] { inner_.add_scores(state, sides, logits); });
    }
    backend::Scores finish_scores(backend::ScoreState& state) override { return inner_.finish_scores(state); }
    void clear(backend::View out) override {
        time(Stage::Other, 0, [&] { inner_.clear(out); });
    }
    void row_products(backend::View a, backend::View b, double* out) override {
        time(Stage::Other, 0, [&] { inner_.row_products(a, b, out); });
    }

  private:
    static double product(std::int64_t rows, const backend::Matrix& w) {
        return 2.0 * static_cast<double>(rows) * static_cast<double>(w.n_in()) *
               static_cast<double>(w.n_out());
    }

    template <typename Body> void time(Stage stage, double flop, Body body) {
        const auto start = std::chrono::steady_clock::now();
        body();
        inner_.synchronize();
        StageTotal& total = totals_[static_cast<std::size_t>(stage)];
        total.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        total.flop += flop;
    }

    backend::Backend& inner_;
    std::array<StageTotal, static_cast<std::size_t>(Stage::Count)> totals_{};
};

}  // namespace assay::bench
