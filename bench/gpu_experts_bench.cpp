// Routing and expert products of one layer with 128 small experts, 8 used (hidden 2048, ffn 768), over the
// backend's operations: tokens per second of a 48-layer pass and the rate of the products, for several
// numbers of rows. Runs on any backend: gpu_experts_bench [device].
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "backend/open.h"
#include "core/error.h"
#include "core/half.h"
#include "core/processors.h"

namespace {

using namespace assay;
using namespace assay::backend;

constexpr std::int64_t kHidden = 2048;
constexpr std::int64_t kFfn = 768;
constexpr std::int64_t kExperts = 128;
constexpr std::int64_t kUsed = 8;
constexpr std::int64_t kLayers = 48;
constexpr std::int64_t kChunkTokens = 512;

std::vector<float> random_values(std::size_t n, float scale) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(n);
    for (float& v : values) v = normal(random);
    return values;
}

MatrixPtr matrix(Backend& backend, std::int64_t n_in, std::int64_t n_out) {
    static const std::vector<float> kSome = random_values(65521, 0.02f);
    std::vector<std::uint16_t> values(static_cast<std::size_t>(n_in * n_out));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = float_to_bf16(kSome[i % kSome.size()]);
    const WeightSource source{&quant::type_info(quant::TypeId::BF16), std::as_bytes(std::span(values)), n_in,
                              n_out, 1};
    return backend.prepare(std::span(&source, 1));
}

void measure(Backend& backend, std::span<const MatrixPtr> gate_up, std::span<const MatrixPtr> down,
             std::int64_t n_chunks) {
    const Rows rows{n_chunks, kChunkTokens};
    const std::int64_t n = rows.count();
    const BufferPtr x = backend.upload(random_values(static_cast<std::size_t>(n * kHidden), 1));
    const BufferPtr logits = backend.upload(random_values(static_cast<std::size_t>(n * kExperts), 1));
    const BufferPtr out = backend.upload(std::vector<float>(static_cast<std::size_t>(n * kHidden)));
    const auto sums = [&](std::int64_t cols) {
        return backend.allocate(static_cast<std::size_t>(n_chunks * kExperts * cols) * sizeof(float));
    };
    const BufferPtr input_squares = sums(kHidden), input_plain = sums(kHidden);
    const BufferPtr down_squares = sums(kFfn), down_plain = sums(kFfn);
    RouteArgs args;
    args.n_used = kUsed;
    args.normalise = true;
    const auto layer = [&] {
        const RoutingPtr routing =
            backend.route({logits->data(), DType::F32, n, kExperts, kExperts}, args, rows);
        ExpertBatch batch;
        batch.gate_up = gate_up;
        batch.down = down;
        batch.input_sums = {input_squares->f32(), input_plain->f32()};
        batch.down_sums = {down_squares->f32(), down_plain->f32()};
        backend.experts({x->data(), DType::F32, n, kHidden, kHidden}, *routing, batch, rows,
                        {out->data(), DType::F32, n, kHidden, kHidden});
    };
    layer();
    backend.synchronize();
    constexpr int kRepeats = 8;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRepeats; ++i) layer();
    backend.synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const double seconds = elapsed.count() / kRepeats;
    const double flop = 6.0 * static_cast<double>(n * kUsed * kHidden * kFfn);
    std::printf("%lld rows: %.2f ms, %.0f tokens/s over %lld layers, products at %.0f TFLOP/s\n",
                static_cast<long long>(n), seconds * 1e3,
                static_cast<double>(n) / seconds / static_cast<double>(kLayers),
                static_cast<long long>(kLayers), flop / seconds / 1e12);
}

}  // namespace

int main(int argc, char** argv) try {
    ThreadPool pool(available_processors());
    OpenOptions options;
    options.device = argc > 1 ? argv[1] : "auto";
    options.chunk_tokens = kChunkTokens;
    const auto backend = open(options, pool);
    std::vector<MatrixPtr> gate_up;
    std::vector<MatrixPtr> down;
    for (std::int64_t e = 0; e < kExperts; ++e) {
        gate_up.push_back(matrix(*backend, kHidden, 2 * kFfn));
        down.push_back(matrix(*backend, kFfn, kHidden));
    }
    std::printf("%s\n", backend->description().c_str());
    for (const std::int64_t n_chunks : {16, 64, 192}) measure(*backend, gate_up, down, n_chunks);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
