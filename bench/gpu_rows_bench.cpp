// Row operations of mixers other than attention over many chunks: bytes and floating-point operations a
// second of scans, convolutions and chains. Runs on any backend: gpu_rows_bench [device] [chunks].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "backend/open.h"
#include "core/processors.h"

namespace {

using namespace assay;
using namespace assay::backend;

constexpr std::int64_t kTokens = 512;

class Bench {
  public:
    Bench(Backend& backend, std::int64_t n_chunks) : backend_(backend), rows_{n_chunks, kTokens} {}

    /// [rows, cols] between low and high, the same random rows again and again.
    View matrix(std::int64_t cols, float low, float high, DType dtype = DType::F32) {
        std::uniform_real_distribution<float> uniform(low, high);
        std::vector<float> values(static_cast<std::size_t>(rows_.count() * cols));
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = i < kDistinct ? uniform(random_) : values[i - kDistinct];
        memory_.push_back(backend_.upload(values));
        const View view{memory_.back()->data(), DType::F32, rows_.count(), cols, cols};
        if (dtype == DType::F32) return view;
        const View rounded = blank(cols, dtype);
        backend_.chain(view, {}, rows_, {{}, rounded, {}});
        backend_.synchronize();
        memory_.erase(memory_.end() - 2);
        return rounded;
    }
    const float* vector(std::int64_t n, float low, float high) {
        std::uniform_real_distribution<float> uniform(low, high);
        std::vector<float> values(static_cast<std::size_t>(n));
        for (float& v : values) v = uniform(random_);
        memory_.push_back(backend_.upload(values));
        return memory_.back()->f32();
    }
    View blank(std::int64_t cols, DType dtype = DType::F32) {
        memory_.push_back(backend_.allocate(static_cast<std::size_t>(rows_.count() * cols * size_of(dtype))));
        return {memory_.back()->data(), dtype, rows_.count(), cols, cols};
    }
    Rows rows() const { return rows_; }
    Backend& backend() { return backend_; }

    /// The median of several turns after one that warms up; forgets the memory.
    void report(const std::string& name, double bytes, double flop, const std::function<void()>& operation) {
        constexpr int kTurns = 9;
        std::vector<double> seconds;
        for (int turn = 0; turn <= kTurns; ++turn) {
            backend_.synchronize();
            const auto begin = std::chrono::steady_clock::now();
            operation();
            backend_.synchronize();
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
            if (turn > 0) seconds.push_back(taken.count());
        }
        std::sort(seconds.begin(), seconds.end());
        const double median = seconds[kTurns / 2];
        std::printf("%-28s %8.3f ms %8.0f GB/s %8.1f TFLOP/s\n", name.c_str(), median * 1e3,
                    bytes / median / 1e9, flop / median / 1e12);
        memory_.clear();
    }

  private:
    static constexpr std::size_t kDistinct = std::size_t{1} << 20;
    Backend& backend_;
    Rows rows_;
    std::mt19937 random_{1};
    std::vector<BufferPtr> memory_;
};

void scan(Bench& bench, const std::string& name, ScanKind kind, std::int64_t heads, std::int64_t key_heads,
          std::int64_t key_dim, std::int64_t value_dim, bool decay_by_key) {
    ScanArgs args;
    args.kind = kind;
    args.n_heads = heads;
    args.n_key_heads = key_heads;
    args.key_dim = key_dim;
    args.value_dim = value_dim;
    args.q = bench.matrix(key_heads * key_dim, -0.1f, 0.1f);
    args.k = bench.matrix(key_heads * key_dim, -0.1f, 0.1f);
    args.v = bench.matrix(heads * value_dim, -1, 1);
    args.decay = bench.matrix(decay_by_key ? heads * key_dim : heads, 0.9f, 1);
    if (kind == ScanKind::Delta) args.beta = bench.matrix(heads, 0, 1);
    if (kind == ScanKind::Bonus) args.bonus = bench.vector(heads * key_dim, -1, 1);
    if (kind == ScanKind::Rank1) args.a = args.b = bench.matrix(heads * key_dim, -0.03f, 0.03f);
    const View out = bench.blank(heads * value_dim);
    const auto rows = static_cast<double>(bench.rows().count());
    const double operations = kind == ScanKind::Gated || kind == ScanKind::Bonus ? 5 : 7;
    const std::int64_t cols = args.q.cols + args.k.cols + args.v.cols + args.decay.cols + args.beta.cols +
                              2 * args.a.cols + out.cols;
    bench.report(name, rows * 4 * static_cast<double>(cols),
                 rows * operations * static_cast<double>(heads * key_dim * value_dim),
                 [&] { bench.backend().scan(args, bench.rows(), out); });
}

void selective_scan(Bench& bench, std::int64_t channels, std::int64_t n_state) {
    SelectiveScanArgs args;
    args.x = bench.matrix(channels, -1, 1);
    args.dt = bench.matrix(channels, 0.001f, 0.1f);
    args.b = bench.matrix(n_state, -1, 1);
    args.c = bench.matrix(n_state, -1, 1);
    args.a = bench.vector(channels * n_state, -16, -1);
    args.d = bench.vector(channels, -1, 1);
    const View out = bench.blank(channels);
    const auto rows = static_cast<double>(bench.rows().count());
    bench.report("selective " + std::to_string(channels) + " x " + std::to_string(n_state),
                 rows * 12 * static_cast<double>(channels),
                 rows * 7 * static_cast<double>(channels * n_state),
                 [&] { bench.backend().selective_scan(args, bench.rows(), out); });
}

void convolve(Bench& bench, std::int64_t cols, std::int64_t kernel) {
    const ConvolveArgs args{.x = bench.matrix(cols, -1, 1),
                            .weight = bench.vector(cols * kernel, -1, 1),
                            .kernel = kernel,
                            .activation = Activation::Silu};
    const View out = bench.blank(cols);
    const double n = static_cast<double>(bench.rows().count() * cols);
    bench.report("convolve " + std::to_string(cols) + ", " + std::to_string(kernel) + " taps", n * 8,
                 n * 2 * static_cast<double>(kernel),
                 [&] { bench.backend().convolve(args, bench.rows(), out); });
}

/// A mixer's output gate: silu(x) * gate * a head's weights * a head's factor.
void gate_chain(Bench& bench, std::int64_t cols, std::int64_t heads, bool sums) {
    const DType activation = bench.backend().activation_dtype();
    const DType operand = bench.backend().operand_dtype();
    const View x = bench.matrix(cols, -1, 1, activation);
    std::vector<Link> links(4);
    links[0].activation = Activation::Silu;
    for (std::size_t i = 1; i < links.size(); ++i) links[i].kind = LinkKind::Times;
    links[1].view = bench.matrix(cols, -1, 1, activation);
    links[1].n = cols;
    links[2].vector = bench.vector(cols / heads, -1, 1);
    links[2].n = cols / heads;
    links[2].tiled = true;
    links[3].view = bench.matrix(heads, -1, 1);
    links[3].n = heads;
    Produced out;
    out.operand = bench.blank(cols, operand);
    if (sums) out.sums.squares = bench.blank(cols).row_f32(0);
    const double n = static_cast<double>(bench.rows().count() * cols);
    bench.report(std::string("chain of 4") + (sums ? " with sums" : ""),
                 n * static_cast<double>(2 * size_of(activation) + size_of(operand)), n * 8,
                 [&] { bench.backend().chain(x, links, bench.rows(), out); });
}

/// Tokens shifted: (previous x - x) * weight + x, f32.
void shift_chain(Bench& bench, std::int64_t cols) {
    const View x = bench.matrix(cols, -1, 1);
    std::vector<Link> links(4);
    links[0].kind = LinkKind::Minus;
    links[1].kind = LinkKind::Times;
    links[2].kind = LinkKind::Plus;
    links[3].kind = LinkKind::Affine;
    links[0].view = links[2].view = x;
    links[0].previous = true;
    links[1].vector = bench.vector(cols, 0, 1);
    for (Link& link : links) link.n = cols;
    const View out = bench.blank(cols);
    const double n = static_cast<double>(bench.rows().count() * cols);
    bench.report("shift of tokens", n * 8, n * 5, [&] {
        bench.backend().chain(x, links, bench.rows(), {{}, out, {}});
    });
}

}  // namespace

int main(int argc, char** argv) try {
    const std::string device = argc > 1 ? argv[1] : "cuda";
    const std::int64_t n_chunks = argc > 2 ? std::atoll(argv[2]) : 64;
    ThreadPool pool(available_processors());
    OpenOptions options;
    options.device = device;
    options.chunk_tokens = kTokens;
    const std::unique_ptr<Backend> backend = open(options, pool);
    std::printf("%s, %lld chunks of %lld tokens\n", backend->description().c_str(),
                static_cast<long long>(n_chunks), static_cast<long long>(kTokens));
    Bench bench(*backend, n_chunks);
    scan(bench, "gated 32 x 128 x 128", ScanKind::Gated, 32, 32, 128, 128, false);
    scan(bench, "gated 64 x 128 x 64, shared", ScanKind::Gated, 64, 1, 128, 64, false);
    scan(bench, "gated 64 x 256 x 64, shared", ScanKind::Gated, 64, 1, 256, 64, false);
    scan(bench, "delta 32 x 128 x 128", ScanKind::Delta, 32, 16, 128, 128, false);
    scan(bench, "delta 32 x 128 x 128, by key", ScanKind::Delta, 32, 32, 128, 128, true);
    scan(bench, "bonus 64 x 64 x 64", ScanKind::Bonus, 64, 64, 64, 64, true);
    scan(bench, "rank 1 64 x 64 x 64", ScanKind::Rank1, 64, 64, 64, 64, true);
    selective_scan(bench, 8192, 16);
    convolve(bench, 8192, 4);
    convolve(bench, 8192, 8);
    gate_chain(bench, 4096, 32, false);
    gate_chain(bench, 4096, 32, true);
    shift_chain(bench, 4096);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
