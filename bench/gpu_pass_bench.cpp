// One layer of an 8 B model over the backend's operations, repeated: tokens per second of a 32-layer pass,
// with and without column sums, and of the matrix products alone, which set the limit. Runs on any backend:
// gpu_pass_bench [device] [layers].
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "backend/open.h"
#include "core/error.h"
#include "core/half.h"
#include "core/processors.h"

namespace {

using namespace assay;
using namespace assay::backend;

struct Shape {
    std::int64_t hidden = 4096;
    std::int64_t ffn = 14336;
    std::int64_t n_heads = 32;
    std::int64_t n_kv_heads = 8;
    std::int64_t head_dim = 128;
    std::int64_t layers = 32;
    std::int64_t chunk_tokens = 512;
};

std::vector<float> random_values(std::size_t n, float scale) {
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(n);
    for (float& v : values) v = normal(random);
    return values;
}

class Layer {
  public:
    Layer(Backend& backend, const Shape& shape)
        : backend_(backend),
          shape_(shape),
          rows_{backend.preferred_rows() / shape.chunk_tokens, shape.chunk_tokens} {
        const std::int64_t q_cols = shape.n_heads * shape.head_dim;
        const std::int64_t kv_cols = shape.n_kv_heads * shape.head_dim;
        qkv_weights_ = matrix(shape.hidden, q_cols + 2 * kv_cols);
        output_weights_ = matrix(q_cols, shape.hidden);
        gate_up_ = matrix(shape.hidden, 2 * shape.ffn);
        down_ = matrix(shape.ffn, shape.hidden);
        const std::int64_t n = rows_.count();
        residual_ = backend.upload(random_values(static_cast<std::size_t>(n * shape.hidden), 1));
        norm_weight_ = backend.upload(std::vector<float>(static_cast<std::size_t>(shape.hidden), 1.0f));
        std::vector<float> frequencies;
        for (std::int64_t i = 0; i < shape.head_dim / 2; ++i)
            frequencies.push_back(1.0f / static_cast<float>(1 + i * i));
        frequencies_ = backend.upload(frequencies);
        const DType operand = backend.operand_dtype();
        const DType activation = backend.activation_dtype();
        input_ = backend.allocate(static_cast<std::size_t>(n * shape.hidden * size_of(operand)));
        heads_ = backend.allocate(static_cast<std::size_t>(n * q_cols * size_of(operand)));
        hidden_ = backend.allocate(static_cast<std::size_t>(n * shape.ffn * size_of(operand)));
        qkv_ = backend.allocate(static_cast<std::size_t>(n * (q_cols + 2 * kv_cols) * size_of(activation)));
        product_ = backend.allocate(static_cast<std::size_t>(n * 2 * shape.ffn * size_of(activation)));
        squares_ = backend.allocate(static_cast<std::size_t>(rows_.n_chunks * shape.ffn * 4));
        plain_ = backend.allocate(static_cast<std::size_t>(rows_.n_chunks * shape.ffn * 4));
    }

    Rows rows() const { return rows_; }

    enum class Part { Products, WithoutSums, All };

    void run(Part part) {
        const bool sums = part == Part::All;
        const std::int64_t n = rows_.count();
        const std::int64_t q_cols = shape_.n_heads * shape_.head_dim;
        const std::int64_t kv_cols = shape_.n_kv_heads * shape_.head_dim;
        const DType operand = backend_.operand_dtype();
        const View residual = view(*residual_, DType::F32, n, shape_.hidden);
        const View input = view(*input_, operand, n, shape_.hidden);
        const View qkv = view(*qkv_, backend_.activation_dtype(), n, q_cols + 2 * kv_cols);
        const View heads = view(*heads_, operand, n, q_cols);
        const View hidden = view(*hidden_, operand, n, shape_.ffn);
        const Sums wanted = sums ? Sums{squares_->f32(), plain_->f32()} : Sums{};
        const Norm norm{NormKind::Rms, norm_weight_->f32(), nullptr, 1e-5f, 1, false};
        Rope rope;
        rope.pairing = Pairing::Halves;
        rope.frequencies = frequencies_->f32();
        rope.n_rot = shape_.head_dim;

        if (part == Part::Products) {
            const View product = view(*product_, backend_.activation_dtype(), n, 2 * shape_.ffn);
            backend_.linear(input, *qkv_weights_, nullptr, false, qkv);
            backend_.linear(heads, *output_weights_, nullptr, true, residual);
            backend_.linear(input, *gate_up_, nullptr, false, product);
            backend_.linear(hidden, *down_, nullptr, true, residual);
            return;
        }
        backend_.norm(residual, norm, rows_, {input, {}, wanted});
        backend_.linear(input, *qkv_weights_, nullptr, false, qkv);
        backend_.rotate_heads(qkv.col_range(0, q_cols), shape_.n_heads, {}, false, rope, rows_);
        backend_.rotate_heads(qkv.col_range(q_cols, kv_cols), shape_.n_kv_heads, {}, false, rope, rows_);
        AttentionArgs attention;
        attention.q = qkv.col_range(0, q_cols);
        attention.k = qkv.col_range(q_cols, kv_cols);
        attention.v = qkv.col_range(q_cols + kv_cols, kv_cols);
        attention.n_heads = shape_.n_heads;
        attention.n_kv_heads = shape_.n_kv_heads;
        attention.head_dim = shape_.head_dim;
        attention.value_dim = shape_.head_dim;
        attention.scale = 0.0883883f;
        backend_.attention(attention, rows_, {heads, {}, wanted});
        backend_.linear(heads, *output_weights_, nullptr, true, residual);
        backend_.norm(residual, norm, rows_, {input, {}, wanted});
        backend_.gated_linear(input, *gate_up_, nullptr, GateFunction{}, rows_, {hidden, {}, wanted});
        backend_.linear(hidden, *down_, nullptr, true, residual);
    }

    /// A number from the result: NaN would show that something is wrong.
    float sample() {
        float value = 0;
        backend_.download(residual_->data(), std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }

  private:
    static View view(const Buffer& buffer, DType dtype, std::int64_t rows, std::int64_t cols) {
        return {buffer.data(), dtype, rows, cols, cols};
    }

    MatrixPtr matrix(std::int64_t n_in, std::int64_t n_out) {
        // 65,521 random numbers over and over: real data draw more power than zeros.
        const std::vector<float> some = random_values(65521, 0.02f);
        std::vector<std::uint16_t> values(static_cast<std::size_t>(n_in * n_out));
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = float_to_bf16(some[i % some.size()]);
        const WeightSource source{&quant::type_info(quant::TypeId::BF16), std::as_bytes(std::span(values)),
                                  n_in, n_out, 1};
        return backend_.prepare(std::span(&source, 1));
    }

    Backend& backend_;
    Shape shape_;
    Rows rows_;
    MatrixPtr qkv_weights_, output_weights_, gate_up_, down_;
    BufferPtr residual_, product_, norm_weight_, frequencies_, input_, heads_, hidden_, qkv_, squares_,
        plain_;
};

double tokens_per_second(Backend& backend, Layer& layer, const Shape& shape, Layer::Part part,
                         std::int64_t n_layers) {
    layer.run(part);
    backend.synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < n_layers; ++i) layer.run(part);
    backend.synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return static_cast<double>(layer.rows().count() * n_layers) / elapsed.count() /
           static_cast<double>(shape.layers);
}

}  // namespace

int main(int argc, char** argv) try {
    const Shape shape;
    const std::int64_t n_layers = argc > 2 ? std::atoll(argv[2]) : 128;
    ThreadPool pool(available_processors());
    OpenOptions options;
    options.device = argc > 1 ? argv[1] : "auto";
    options.chunk_tokens = shape.chunk_tokens;
    const auto backend = open(options, pool);
    Layer layer(*backend, shape);
    const double q_cols = static_cast<double>(shape.n_heads * shape.head_dim);
    const double kv_cols = static_cast<double>(shape.n_kv_heads * shape.head_dim);
    const auto hidden = static_cast<double>(shape.hidden);
    const double flop = 2 * static_cast<double>(shape.layers) *
                        (hidden * (2 * q_cols + 2 * kv_cols) + 3 * hidden * static_cast<double>(shape.ffn));
    std::printf("%s, %lld rows a call\n", backend->description().c_str(),
                static_cast<long long>(layer.rows().count()));
    // The clock falls under load: the three take turns, and the first turn warms the chip up.
    constexpr Layer::Part kParts[3] = {Layer::Part::WithoutSums, Layer::Part::All, Layer::Part::Products};
    constexpr int kRepeats = 5;
    std::vector<double> rates[3];
    for (int repeat = 0; repeat <= kRepeats; ++repeat)
        for (int i = 0; i < 3; ++i) {
            const double rate = tokens_per_second(*backend, layer, shape, kParts[i], n_layers);
            if (repeat > 0) rates[i].push_back(rate);
        }
    double median[3];
    for (int i = 0; i < 3; ++i) {
        std::sort(rates[i].begin(), rates[i].end());
        median[i] = rates[i][kRepeats / 2];
    }
    std::printf("%.0f tokens/s without sums, %.0f with (%+.1f%%), products alone %.0f (%.0f TFLOP/s)\n",
                median[0], median[1], (median[1] / median[0] - 1) * 100, median[2], median[2] * flop / 1e12);
    if (const float value = layer.sample(); !(value == value)) {
        std::printf("the result is not a number\n");
        return 1;
    }
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
