#include "backend/cuda/operations.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cuda/kernels.h"
#include "backend/cuda/landing.h"
#include "core/error.h"

namespace assay::backend::cuda {

// Called by kernels' files, which do not see core/error.h.
void refuse_columns(std::int64_t cols, std::int64_t limit);
void refuse_head(std::int64_t dim, std::int64_t limit);

void refuse_columns(std::int64_t cols, std::int64_t limit) {
    throw_error(ErrorKind::Unsupported, "cuda", "a row of {} columns, at most {} are summed at a time", cols,
                limit);
}

void refuse_head(std::int64_t dim, std::int64_t limit) {
    throw_error(ErrorKind::Unsupported, "cuda", "an attention head of {} components, at most {} fit", dim,
                limit);
}

namespace {

constexpr std::size_t kLandingBytes = std::size_t{16} << 20;
constexpr std::int64_t kLogitBytes = std::int64_t{256} << 20;
/// A wide feed-forward: 16,384 components twice, in bf16.
constexpr std::uint64_t kGatedRowBytes = std::uint64_t{64} << 10;

/// Rows that fill the multiprocessors several times over; fewer where memory is short.
std::int64_t rows_for(std::size_t total_bytes) {
    constexpr std::size_t kGiB = std::size_t{1} << 30;
    if (total_bytes >= 36 * kGiB) return 8192;
    return total_bytes >= 12 * kGiB ? 4096 : 2048;
}

/// Memory for the partial sums that the caller wants.
struct PartialMemory {
    PartialMemory(const Device& device, const Sums& sums, std::int64_t n_chunks, std::int64_t n_groups,
                  std::int64_t cols)
        : squares(device, sums.squares != nullptr ? n_chunks * n_groups * cols : 0),
          plain(device, sums.plain != nullptr ? n_chunks * n_groups * cols : 0),
          partials{squares.get(), plain.get(), n_groups, cols} {}

    Temporary<float> squares;
    Temporary<float> plain;
    Partials partials;
};

std::int64_t groups(std::int64_t chunk_tokens, std::int64_t group) {
    return (chunk_tokens + group - 1) / group;
}

const DeviceMatrix& device_matrix(const Matrix& matrix) { return static_cast<const DeviceMatrix&>(matrix); }

class DeviceLosses final : public LossState {
  public:
    DeviceLosses(const DevicePtr& device, std::span<const std::int32_t> host_targets)
        : n_rows(static_cast<std::int64_t>(host_targets.size())),
          targets(device, host_targets.size_bytes(), device->compute()),
          maximum(device, host_targets.size() * sizeof(float), device->compute()),
          sum(device, host_targets.size() * sizeof(double), device->compute()),
          target_logit(device, host_targets.size() * sizeof(float), device->compute()),
          has_target(host_targets.size()) {
        for (std::size_t i = 0; i < has_target.size(); ++i) has_target[i] = host_targets[i] >= 0;
    }

    std::int64_t n_rows;
    DeviceBuffer targets;
    DeviceBuffer maximum;
    DeviceBuffer sum;
    DeviceBuffer target_logit;
    std::vector<bool> has_target;
};

template <typename T> T* as(const DeviceBuffer& buffer, std::int64_t first = 0) {
    return reinterpret_cast<T*>(buffer.data()) + first;
}

}  // namespace

Activation plain_gate(const GateFunction& function) {
    if (function.kind != GateKind::Activated ||
        (function.activation != Activation::Silu && function.activation != Activation::Gelu))
        throw_error(ErrorKind::Unsupported, "cuda", "gates other than SiLU and GELU");
    return function.activation;
}

CudaBackend::CudaBackend(DevicePtr device, DType dtype, std::uint64_t memory_bytes, std::string description)
    : device_(std::move(device)),
      dtype_(dtype),
      memory_bytes_(memory_bytes == 0 ? device_->total_bytes()
                                      : std::min<std::uint64_t>(memory_bytes, device_->total_bytes())),
      description_(std::move(description)),
      preferred_rows_(rows_for(device_->total_bytes())),
      loader_(device_),
      products_(device_),
      landing_(kLandingBytes) {}

CudaBackend::~CudaBackend() {
    cudaSetDevice(device_->index());
    cudaDeviceSynchronize();
}

std::optional<std::uint64_t> CudaBackend::room_bytes() const {
    // Logits of a panel, both halves of a gated product, and what experts gather.
    const std::uint64_t own = static_cast<std::uint64_t>(kLogitBytes) +
                              static_cast<std::uint64_t>(preferred_rows_) * kGatedRowBytes +
                              memory_bytes_ / kExpertShare;
    const std::uint64_t bound = std::min<std::uint64_t>(memory_bytes_, device_->free_bytes());
    return bound > own ? bound - own : 0;
}

BufferPtr CudaBackend::allocate(std::size_t bytes) {
    device_->use();
    return std::make_unique<DeviceBuffer>(device_, bytes, device_->compute());
}

BufferPtr CudaBackend::upload(std::span<const float> values) {
    device_->use();
    auto buffer = std::make_unique<DeviceBuffer>(device_, values.size_bytes(), device_->copy());
    loader_.copy(values, buffer->data());
    return buffer;
}

void CudaBackend::download(const void* from, std::span<std::byte> to) {
    device_->use();
    const auto* source = static_cast<const std::byte*>(from);
    while (!to.empty()) {
        const std::size_t n = std::min(to.size(), kLandingBytes);
        check(cudaMemcpyAsync(landing_.data(), source, n, cudaMemcpyDeviceToHost, device_->compute()),
              "copying results");
        check(cudaStreamSynchronize(device_->compute()), "waiting for results");
        std::memcpy(to.data(), landing_.data(), n);
        source += n;
        to = to.subspan(n);
    }
}

LandingPtr CudaBackend::make_landing() {
    device_->use();
    return std::make_unique<DeviceLanding>(device_);
}

void CudaBackend::synchronize() {
    device_->use();
    check(cudaStreamSynchronize(device_->compute()), "waiting for the device");
}

MatrixPtr CudaBackend::prepare(std::span<const WeightSource> stacked, DType operand) {
    device_->use();
    std::int64_t n_out = 0;
    const std::int64_t n_in = stacked.empty() ? 0 : stacked.front().n_in;
    for (const WeightSource& source : stacked) {
        if (source.n_in != n_in)
            throw_error(ErrorKind::Shape, "cuda", "matrices of {} and {} inputs cannot be stacked", n_in,
                        source.n_in);
        n_out += source.n_out;
    }
    auto matrix = std::make_shared<DeviceMatrix>(device_, operand, n_in, n_out);
    std::int64_t row = 0;
    for (const WeightSource& source : stacked) {
        loader_.decode_rows(source, matrix->view().row_range(row, source.n_out), device_->copy());
        row += source.n_out;
    }
    matrix->mark_ready();
    return matrix;
}

void CudaBackend::embed(const WeightSource& table, std::span<const std::int32_t> tokens, float scale,
                        std::int64_t first, View out) {
    if (first != 0 || out.cols != table.n_in)
        throw_error(ErrorKind::Unsupported, "cuda", "some columns of an embedding");
    device_->use();
    loader_.decode_rows(table, tokens, scale * table.scale, out, device_->compute());
}

void CudaBackend::produce_rows(View x, const Norm& norm, Rows rows, const Produced& out) {
    const PartialMemory memory(*device_, out.sums, rows.n_chunks, groups(rows.chunk_tokens, kProduceGroup),
                               x.cols);
    produce(x, norm, rows, out, memory.partials, device_->compute());
    finish_sums(memory.partials, rows.n_chunks, out.sums, device_->compute());
}

void CudaBackend::observe(View x, Rows rows, const Produced& out) {
    device_->use();
    produce_rows(x, {}, rows, out);
}

void CudaBackend::norm(View x, const Norm& norm, Rows rows, const Produced& out) {
    if (norm.n_slices != 1 || norm.kind == NormKind::L2 || norm.kind == NormKind::L2Max)
        throw_error(ErrorKind::Unsupported, "cuda", "norms of slices and L2 norms");
    device_->use();
    produce_rows(x, norm, rows, out);
}

Product CudaBackend::product_of(View x, const DeviceMatrix& w, const float* bias, bool accumulate, View out,
                                std::int64_t nominal_rows) const {
    if (x.cols != w.n_in() || out.cols != w.n_out() || x.rows != out.rows)
        throw_error(ErrorKind::Shape, "cuda", "a product of [{}, {}] with [{}, {}] into [{}, {}]", x.rows,
                    x.cols, w.n_out(), w.n_in(), out.rows, out.cols);
    return {x, w.acquire(), w.n_in(), w.n_out(), bias, accumulate, out, nominal_rows};
}

void CudaBackend::multiply(View x, const DeviceMatrix& w, const float* bias, bool accumulate, View out) {
    products_.multiply(product_of(x, w, bias, accumulate, out, preferred_rows_));
}

void CudaBackend::linear(View x, const Matrix& w, const float* bias, bool accumulate, View out) {
    device_->use();
    const DeviceMatrix& matrix = device_matrix(w);
    if (out.dtype == DType::F32 || (bias == nullptr && !accumulate))
        return multiply(x, matrix, bias, accumulate, out);
    // What is added joins before the one rounding: a bias can be far larger than the product.
    const Temporary<float> memory(*device_, out.rows * out.cols);
    const View wide{memory.get(), DType::F32, out.rows, out.cols, out.cols};
    if (accumulate) round_rows(out, wide, device_->compute());
    multiply(x, matrix, bias, accumulate, wide);
    round_rows(wide, out, device_->compute());
}

void CudaBackend::rotate_heads(View x, std::int64_t n_heads, const Norm& norm, bool norm_last,
                               const Rope& rope, Rows rows) {
    if (norm_last || rope.first != 0 || rope.backwards || norm.kind == NormKind::L2 ||
        norm.kind == NormKind::L2Max || (norm.weight != nullptr && n_heads > 1 && !norm.repeats))
        throw_error(ErrorKind::Unsupported, "cuda",
                    "rotation before the norm, of some components, backwards, and norms of heads but RMS");
    device_->use();
    const std::int64_t head_dim = n_heads > 0 ? x.cols / n_heads : 0;
    if (n_heads <= 0 || x.cols % n_heads != 0 || head_dim % 2 != 0 || head_dim > 512 || rope.n_rot > head_dim)
        throw_error(
            ErrorKind::Unsupported, "cuda",
            "rotating {} of {} columns in {} heads; heads have an even number of components, at most 512",
            rope.n_rot, x.cols, n_heads);
    const Temporary<float2> table(*device_, rows.chunk_tokens * (rope.n_rot / 2));
    rotation_table(rope, rows.chunk_tokens, table.get(), device_->compute());
    rotate(x, n_heads, norm, rope, table.get(), rows.chunk_tokens, device_->compute());
}

void CudaBackend::copy_heads(View, std::int64_t, std::int64_t, View) {
    throw_error(ErrorKind::Unsupported, "cuda", "copy_heads is not there yet");
}

void CudaBackend::attention(const AttentionArgs& args, Rows rows, const Produced& out) {
    device_->use();
    if (!args.causal || args.window_kind != WindowKind::Sliding || args.sinks != nullptr ||
        args.slopes != nullptr)
        throw_error(ErrorKind::Unsupported, "cuda",
                    "attention that is not causal, other windows, sinks, slopes");
    if (args.n_kv_heads <= 0 || args.n_heads % args.n_kv_heads != 0)
        throw_error(ErrorKind::Shape, "cuda", "{} heads over {} key heads", args.n_heads, args.n_kv_heads);
    const std::int64_t cols = args.n_heads * args.value_dim;
    if (dtype_ == DType::Bf16) {
        const PartialMemory memory(*device_, out.sums, rows.n_chunks, groups(rows.chunk_tokens, kQueryTile),
                                   cols);
        attention_bf16(args, rows, out, memory.partials, device_->compute());
        finish_sums(memory.partials, rows.n_chunks, out.sums, device_->compute());
        return;
    }
    const bool kept = out.operand.present() || out.plain.present();
    const Temporary<float> memory(*device_, kept ? 0 : rows.count() * cols);
    Produced target{out.operand, out.plain, {}};
    if (!kept) target.plain = {memory.get(), DType::F32, rows.count(), cols, cols};
    attention_f32(args, rows, target, device_->compute());
    Produced sums;
    sums.sums = out.sums;
    if (out.sums.squares != nullptr || out.sums.plain != nullptr)
        produce_rows(target.plain.present() ? target.plain : target.operand, {}, rows, sums);
}

void CudaBackend::gated_linear(View x, const Matrix& gate_up, const float* bias, const GateFunction& function,
                               Rows rows, const Produced& out) {
    device_->use();
    const Activation activation = plain_gate(function);
    const DeviceMatrix& matrix = device_matrix(gate_up);
    const std::int64_t n_out = matrix.n_out();
    const Temporary<std::byte> memory(*device_, rows.count() * n_out * size_of(dtype_));
    const View product{memory.get(), dtype_, rows.count(), n_out, n_out};
    multiply(x, matrix, nullptr, false, product);
    const PartialMemory sums(*device_, out.sums, rows.n_chunks, groups(rows.chunk_tokens, kGatedGroup),
                             n_out / 2);
    gate(product, bias, activation, rows, out, sums.partials, device_->compute());
    finish_sums(sums.partials, rows.n_chunks, out.sums, device_->compute());
}

void CudaBackend::add(View x, const Norm& norm, float scale, View residual) {
    device_->use();
    add_rows(x, norm, scale, residual, device_->compute());
}

RoutingPtr CudaBackend::route(View logits, const RouteArgs& args, Rows rows) {
    if (args.gating == Gating::SqrtSoftplus || args.selection_bias != nullptr || args.select_logits ||
        args.n_groups != 1 || !args.chosen.empty())
        throw_error(ErrorKind::Unsupported, "cuda",
                    "routing with a bias, groups, chosen experts or softplus");
    device_->use();
    return std::make_unique<DeviceRouting>(device_, logits, args, rows);
}

LossStatePtr CudaBackend::begin_losses(std::span<const std::int32_t> targets) {
    device_->use();
    auto state = std::make_unique<DeviceLosses>(device_, targets);
    check(cudaMemcpyAsync(state->targets.data(), targets.data(), targets.size_bytes(), cudaMemcpyHostToDevice,
                          device_->compute()),
          "copying targets");
    check(cudaStreamSynchronize(device_->compute()), "copying targets");
    start_losses(state->n_rows, as<float>(state->maximum), as<double>(state->sum),
                 as<float>(state->target_logit), device_->compute());
    return state;
}

void CudaBackend::add_losses(LossState& state, std::int64_t first_row, View x, const Matrix& panel,
                             const float* bias, std::int64_t first, float scale, float soft_cap) {
    device_->use();
    auto& losses = static_cast<DeviceLosses&>(state);
    const DeviceMatrix& matrix = device_matrix(panel);
    const std::int64_t n = matrix.n_out();
    const std::int64_t tile = std::max<std::int64_t>(128, kLogitBytes / (4 * std::max<std::int64_t>(n, 1)));
    const Temporary<float> memory(*device_, std::min(tile, x.rows) * n);
    for (std::int64_t row = 0; row < x.rows; row += tile) {
        const std::int64_t count = std::min(tile, x.rows - row);
        const View logits{memory.get(), DType::F32, count, n, n};
        multiply(x.row_range(row, count), matrix, nullptr, false, logits);
        const std::int64_t at = first_row + row;
        fold_losses(
            {logits, bias, as<std::int32_t>(losses.targets, at), first, scale, soft_cap,
             as<float>(losses.maximum, at), as<double>(losses.sum, at), as<float>(losses.target_logit, at)},
            device_->compute());
    }
}

std::vector<double> CudaBackend::finish_losses(LossState& state) {
    auto& losses = static_cast<DeviceLosses&>(state);
    const auto n = static_cast<std::size_t>(losses.n_rows);
    std::vector<float> maximum(n);
    std::vector<double> sum(n);
    std::vector<float> target_logit(n);
    download(losses.maximum.data(), std::as_writable_bytes(std::span(maximum)));
    download(losses.sum.data(), std::as_writable_bytes(std::span(sum)));
    download(losses.target_logit.data(), std::as_writable_bytes(std::span(target_logit)));
    std::vector<double> result(n, 0.0);
    for (std::size_t i = 0; i < n; ++i)
        if (losses.has_target[i])
            result[i] =
                std::log(sum[i]) + static_cast<double>(maximum[i]) - static_cast<double>(target_logit[i]);
    return result;
}

void CudaBackend::clear(View out) {
    device_->use();
    const auto element = static_cast<std::size_t>(size_of(out.dtype));
    check(cudaMemset2DAsync(out.data, static_cast<std::size_t>(out.stride) * element, 0,
                            static_cast<std::size_t>(out.cols) * element, static_cast<std::size_t>(out.rows),
                            device_->compute()),
          "clearing rows");
}

void CudaBackend::row_products(View a, View b, double* out) {
    device_->use();
    row_dots(a, b, out, device_->compute());
}

}  // namespace assay::backend::cuda
