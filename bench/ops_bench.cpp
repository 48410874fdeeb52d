// Operations of the CPU backend: products, their weights' preparation and attention, f32 and bf16, on the
// shapes of small and large models. Results are not looked at: tests/backend does that.
#include <benchmark/benchmark.h>
#include <random>

#include "backend/open.h"
#include "core/processors.h"

namespace assay::backend {
namespace {

constexpr std::int64_t kChunk = 512;

struct Setup {
    explicit Setup(bool bf16)
        : pool(available_processors()),
          backend(open({"cpu", bf16 ? Precision::Auto : Precision::F32, {}, kChunk}, pool)) {}
    BufferPtr filled(std::int64_t n) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        std::vector<float> values(static_cast<std::size_t>(n));
        for (float& v : values) v = normal(random);
        return backend->upload(values);
    }
    ThreadPool pool;
    std::unique_ptr<Backend> backend;
};

void gemm(benchmark::State& state) {
    Setup setup(state.range(2) != 0);
    Backend& backend = *setup.backend;
    const std::int64_t n_in = state.range(0), n_out = state.range(1), rows = backend.preferred_rows();
    const std::vector<float> weights(static_cast<std::size_t>(n_in * n_out), 0.01f);
    const WeightSource source{&quant::type_info(quant::TypeId::F32), std::as_bytes(std::span(weights)), n_in,
                              n_out, 1};
    const MatrixPtr w = backend.prepare(std::span(&source, 1));
    const BufferPtr input = setup.filled(rows * n_in);
    const BufferPtr operand = backend.allocate(static_cast<std::size_t>(rows * n_in) * 4);
    const BufferPtr result = backend.allocate(static_cast<std::size_t>(rows * n_out) * 4);
    const View x{operand->data(), backend.operand_dtype(), rows, n_in, n_in};
    backend.observe({input->data(), DType::F32, rows, n_in, n_in}, {rows / kChunk, kChunk}, {x, {}, {}});
    for (auto _ : state)
        backend.linear(x, *w, nullptr, false, {result->data(), DType::F32, rows, n_out, n_out});
    state.counters["FLOP/s"] = benchmark::Counter(2.0 * static_cast<double>(rows * n_in * n_out),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

/// Stored weights to the layout of the products, on the threads that prepare beside the computing.
void prepare(benchmark::State& state, quant::TypeId id) {
    Setup setup(true);
    const std::int64_t n_in = 2048, n_out = 2048;
    const quant::TypeInfo& type = quant::type_info(id);
    const std::vector<std::byte> stored(quant::row_bytes(type, static_cast<std::uint64_t>(n_in)) *
                                        static_cast<std::uint64_t>(n_out));
    const WeightSource source{&type, stored, n_in, n_out, 1};
    for (auto _ : state) benchmark::DoNotOptimize(setup.backend->prepare(std::span(&source, 1)));
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * n_in * n_out);
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(stored.size()));
}

void attention(benchmark::State& state) {
    Setup setup(state.range(2) != 0);
    Backend& backend = *setup.backend;
    const std::int64_t heads = state.range(0), dim = state.range(1), chunks = 2, rows = chunks * kChunk;
    const BufferPtr q = setup.filled(rows * heads * dim);
    const BufferPtr out = backend.allocate(static_cast<std::size_t>(rows * heads * dim) * 4);
    AttentionArgs args;
    args.q = args.k = args.v = {q->data(), DType::F32, rows, heads * dim, heads * dim};
    args.n_heads = args.n_kv_heads = heads;
    args.head_dim = args.value_dim = dim;
    args.scale = 0.1f;
    for (auto _ : state)
        backend.attention(args, {chunks, kChunk},
                          {{out->data(), backend.operand_dtype(), rows, heads * dim, heads * dim}, {}, {}});
    state.counters["FLOP/s"] =
        benchmark::Counter(2.0 * static_cast<double>(rows * (kChunk + 1) * heads * dim),
                           benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(gemm)->ArgsProduct({{576, 2048}, {576, 2048, 8192}, {0, 1}})->UseRealTime();
BENCHMARK_CAPTURE(prepare, f16, quant::TypeId::F16)->UseRealTime();
BENCHMARK_CAPTURE(prepare, q8_0, quant::TypeId::Q8_0)->UseRealTime();
BENCHMARK_CAPTURE(prepare, q4_k, quant::TypeId::Q4_K)->UseRealTime();
BENCHMARK(attention)->ArgsProduct({{9, 32}, {64, 128}, {0, 1}})->UseRealTime();

}  // namespace
}  // namespace assay::backend

BENCHMARK_MAIN();
