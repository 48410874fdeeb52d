// Operations of the CPU backend: products, their weights' preparation and attention, f32 and bf16, and what
// other mixers ask for, on the shapes of small and large models. Results are not looked at: tests/backend
// does that.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
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

/// Many query heads over the one latent of a chunk, of which a part is the value.
void latent_attention(benchmark::State& state) {
    Setup setup(state.range(0) != 0);
    Backend& backend = *setup.backend;
    const std::int64_t heads = 16, dim = 576, value_dim = 512, rows = kChunk;
    const BufferPtr q = setup.filled(rows * heads * dim), k = setup.filled(rows * dim);
    const BufferPtr out = backend.allocate(static_cast<std::size_t>(rows * heads * value_dim) * 4);
    AttentionArgs args;
    args.q = {q->data(), DType::F32, rows, heads * dim, heads * dim};
    args.k = {k->data(), DType::F32, rows, dim, dim};
    args.v = args.k.col_range(0, value_dim);
    args.n_heads = heads;
    args.n_kv_heads = 1;
    args.head_dim = dim;
    args.value_dim = value_dim;
    args.scale = 0.04f;
    const View result{out->data(), backend.operand_dtype(), rows, heads * value_dim, heads * value_dim};
    for (auto _ : state) backend.attention(args, {1, kChunk}, {result, {}, {}});
    state.counters["FLOP/s"] =
        benchmark::Counter(static_cast<double>(rows * (kChunk + 1) * heads * (dim + value_dim)),
                           benchmark::Counter::kIsIterationInvariantRate);
}

/// Heads of queries normalised and turned in place.
void heads(benchmark::State& state) {
    Setup setup(false);
    const std::int64_t n_heads = state.range(0), dim = state.range(1), n_rot = state.range(2), rows = kChunk;
    const BufferPtr x = setup.filled(rows * n_heads * dim), weight = setup.filled(dim);
    const BufferPtr frequencies = setup.filled(std::max<std::int64_t>(n_rot / 2, 1));
    const Norm norm{NormKind::Rms, weight->f32(), nullptr, 1e-6f, n_heads, true};
    Rope rope;
    rope.pairing = Pairing::Halves;
    rope.frequencies = frequencies->f32();
    rope.n_rot = n_rot;
    const View view{x->data(), DType::F32, rows, n_heads * dim, n_heads * dim};
    for (auto _ : state) setup.backend->rotate_heads(view, n_heads, norm, false, rope, {1, kChunk});
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * rows * n_heads * dim * 8);
}

/// Gate and up as two sources, or as one, whose panels are no pairs.
void gated(benchmark::State& state) {
    Setup setup(true);
    Backend& backend = *setup.backend;
    const bool one_source = state.range(0) != 0;
    const std::int64_t n_in = 2048, ffn = 5504, rows = backend.preferred_rows();
    const std::vector<float> weights(static_cast<std::size_t>(n_in * 2 * ffn), 0.01f);
    const auto bytes = std::as_bytes(std::span(weights));
    const quant::TypeInfo* type = &quant::type_info(quant::TypeId::F32);
    const WeightSource whole{type, bytes, n_in, 2 * ffn, 1};
    const WeightSource halves[] = {{type, bytes.first(bytes.size() / 2), n_in, ffn, 1},
                                   {type, bytes.last(bytes.size() / 2), n_in, ffn, 1}};
    const MatrixPtr w = one_source ? backend.prepare(std::span(&whole, 1)) : backend.prepare(halves);
    const BufferPtr input = setup.filled(rows * n_in);
    const BufferPtr operand = backend.allocate(static_cast<std::size_t>(rows * n_in) * 4);
    const BufferPtr result = backend.allocate(static_cast<std::size_t>(rows * ffn) * 4);
    const View x{operand->data(), backend.operand_dtype(), rows, n_in, n_in};
    const Rows all{rows / kChunk, kChunk};
    backend.observe({input->data(), DType::F32, rows, n_in, n_in}, all, {x, {}, {}});
    for (auto _ : state)
        backend.gated_linear(x, *w, nullptr, {}, all,
                             {{result->data(), backend.operand_dtype(), rows, ffn, ffn}, {}, {}});
    state.counters["FLOP/s"] = benchmark::Counter(4.0 * static_cast<double>(rows * n_in * ffn),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

/// One chunk through heads of the given kind; keys of length about 1.
void scan(benchmark::State& state, ScanKind kind, std::int64_t dim) {
    Setup setup(false);
    const std::int64_t heads = 16, rows = kChunk;
    const auto view = [&](const BufferPtr& buffer, std::int64_t cols) {
        return View{buffer->data(), DType::F32, rows, cols, cols};
    };
    std::vector<float> small(static_cast<std::size_t>(rows * heads * dim),
                             1.0f / std::sqrt(static_cast<float>(dim)));
    const BufferPtr keys = setup.backend->upload(small);
    const BufferPtr values = setup.filled(rows * heads * dim);
    const BufferPtr out = setup.backend->allocate(small.size() * sizeof(float));
    ScanArgs args;
    args.kind = kind;
    args.q = args.k = args.a = args.b = view(keys, heads * dim);
    args.v = view(values, heads * dim);
    args.decay = view(keys, heads);
    args.beta = view(keys, heads);
    args.bonus = keys->f32();
    args.n_heads = args.n_key_heads = heads;
    args.key_dim = args.value_dim = dim;
    for (auto _ : state) setup.backend->scan(args, {1, kChunk}, view(out, heads * dim));
    const double operations = kind == ScanKind::Gated || kind == ScanKind::Bonus ? 5 : 7;
    state.counters["FLOP/s"] = benchmark::Counter(operations * static_cast<double>(rows * heads * dim * dim),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

void selective_scan(benchmark::State& state) {
    Setup setup(false);
    const std::int64_t channels = 4096, n_state = 16, rows = kChunk;
    const BufferPtr x = setup.filled(rows * channels);
    const BufferPtr a = setup.filled(channels * n_state);
    const std::vector<float> steps(static_cast<std::size_t>(rows * channels), 0.01f);
    const BufferPtr dt = setup.backend->upload(steps);
    const BufferPtr out = setup.backend->allocate(steps.size() * sizeof(float));
    const View wide{x->data(), DType::F32, rows, channels, channels};
    SelectiveScanArgs args;
    args.x = wide;
    args.dt = {dt->data(), DType::F32, rows, channels, channels};
    args.b = wide.col_range(0, n_state);
    args.c = wide.col_range(n_state, n_state);
    args.a = a->f32();
    args.d = x->f32();
    for (auto _ : state)
        setup.backend->selective_scan(args, {1, kChunk}, {out->data(), DType::F32, rows, channels, channels});
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * rows * channels * n_state);
}

void convolve(benchmark::State& state) {
    Setup setup(false);
    const std::int64_t cols = 8192, kernel = 4, rows = kChunk;
    const BufferPtr x = setup.filled(rows * cols);
    const BufferPtr weight = setup.filled(cols * kernel);
    const BufferPtr out = setup.backend->allocate(static_cast<std::size_t>(rows * cols) * sizeof(float));
    for (auto _ : state)
        setup.backend->convolve({.x = {x->data(), DType::F32, rows, cols, cols},
                                 .weight = weight->f32(),
                                 .kernel = kernel,
                                 .activation = Activation::Silu},
                                {1, kChunk}, {out->data(), DType::F32, rows, cols, cols});
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * rows * cols * 8);
}

/// The output gate of a mixer, as operand with sums: norm'd x * weight * silu(gate) * a head's factor.
void chain(benchmark::State& state) {
    Setup setup(true);
    const std::int64_t cols = 4096, heads = 32, rows = kChunk;
    const BufferPtr x = setup.filled(rows * cols);
    const BufferPtr gate = setup.filled(rows * cols);
    const BufferPtr out = setup.backend->allocate(static_cast<std::size_t>(rows * cols) * sizeof(float));
    const BufferPtr sums = setup.backend->allocate(static_cast<std::size_t>(cols) * sizeof(float));
    const View gates{gate->data(), DType::F32, rows, cols, cols};
    std::vector<Link> links(4);
    links[0].activation = Activation::Silu;
    for (int i = 1; i < 4; ++i) links[static_cast<std::size_t>(i)].kind = LinkKind::Times;
    links[1].view = gates;
    links[1].n = cols;
    links[2].vector = gate->f32();
    links[2].n = cols / heads;
    links[2].tiled = true;
    links[3].view = gates.col_range(0, heads);
    links[3].n = heads;
    for (auto _ : state)
        setup.backend->chain(
            {x->data(), DType::F32, rows, cols, cols}, links, {1, kChunk},
            {{out->data(), setup.backend->operand_dtype(), rows, cols, cols}, {}, {sums->f32(), nullptr}});
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * rows * cols *
                            (8 + size_of(setup.backend->operand_dtype())));
}

BENCHMARK(gemm)->ArgsProduct({{576, 2048}, {576, 2048, 8192}, {0, 1}})->UseRealTime();
BENCHMARK_CAPTURE(prepare, f16, quant::TypeId::F16)->UseRealTime();
BENCHMARK_CAPTURE(prepare, q8_0, quant::TypeId::Q8_0)->UseRealTime();
BENCHMARK_CAPTURE(prepare, q4_k, quant::TypeId::Q4_K)->UseRealTime();
BENCHMARK(attention)->ArgsProduct({{9, 32}, {64, 128}, {0, 1}})->UseRealTime();
BENCHMARK(latent_attention)->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(heads)->Args({32, 128, 128})->Args({1, 4096, 0})->UseRealTime();
BENCHMARK(gated)->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK_CAPTURE(scan, gated_128, ScanKind::Gated, 128)->UseRealTime();
BENCHMARK_CAPTURE(scan, delta_128, ScanKind::Delta, 128)->UseRealTime();
BENCHMARK_CAPTURE(scan, bonus_64, ScanKind::Bonus, 64)->UseRealTime();
BENCHMARK_CAPTURE(scan, rank1_64, ScanKind::Rank1, 64)->UseRealTime();
BENCHMARK(selective_scan)->UseRealTime();
BENCHMARK(convolve)->UseRealTime();
BENCHMARK(chain)->UseRealTime();

}  // namespace
}  // namespace assay::backend

BENCHMARK_MAIN();
