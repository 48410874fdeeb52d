#include "backend/cuda/operations.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/kernels.h"
#include "backend/cuda/landing.h"
#include "backend/cuda/partial_memory.h"
#include "backend/shapes.h"

namespace assay::backend::cuda {

namespace {

constexpr std::size_t kLandingBytes = std::size_t{16} << 20;
/// A wide feed-forward: 16,384 components twice, in bf16.
constexpr std::uint64_t kGatedRowBytes = std::uint64_t{64} << 10;

/// Rows that fill the multiprocessors several times over; fewer where memory is short.
std::int64_t rows_for(std::size_t total_bytes) {
    constexpr std::size_t kGiB = std::size_t{1} << 30;
    if (total_bytes >= 36 * kGiB) return 8192;
    return total_bytes >= 12 * kGiB ? 4096 : 2048;
}

}  // namespace

CudaBackend::CudaBackend(DevicePtr device, DType dtype, std::uint64_t memory_bytes, std::string kind)
    : device_(std::move(device)),
      dtype_(dtype),
      memory_bytes_(memory_bytes == 0 ? device_->total_bytes()
                                      : std::min<std::uint64_t>(memory_bytes, device_->total_bytes())),
      kind_(std::move(kind)),
      preferred_rows_(rows_for(device_->total_bytes())),
      loader_(device_),
      products_(device_),
      landing_(kLandingBytes) {}

CudaBackend::~CudaBackend() {
    cudaSetDevice(device_->index());
    cudaDeviceSynchronize();
}

std::optional<std::uint64_t> CudaBackend::room_bytes() const {
    // Logits of a panel, both halves of a gated product, and what experts gather. Attention, which runs when
    // none of them does, takes less.
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

void CudaBackend::replace(void* to, std::span<const std::byte> from) {
    device_->use();
    auto* target = static_cast<std::byte*>(to);
    while (!from.empty()) {
        const std::size_t n = std::min(from.size(), kLandingBytes);
        std::memcpy(landing_.data(), from.data(), n);
        check(cudaMemcpyAsync(target, landing_.data(), n, cudaMemcpyHostToDevice, device_->compute()),
              "bringing rows");
        check(cudaStreamSynchronize(device_->compute()), "waiting for rows");
        from = from.subspan(n);
        target += n;
    }
}

RowTablePtr CudaBackend::lay_out(std::span<const std::int64_t> starts, std::span<const float> weights) {
    device_->use();
    return std::make_shared<const DeviceRowTable>(device_, starts, weights);
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

Product CudaBackend::product_of(View x, const DeviceMatrix& w, const float* bias, bool accumulate, View out,
                                std::int64_t nominal_rows) const {
    check_product(x, w, out);
    Product product;
    product.x = x;
    product.w = w.acquire();
    product.n_in = w.n_in();
    product.n_out = w.n_out();
    product.bias = bias;
    product.accumulate = accumulate;
    product.out = out;
    product.nominal_rows = nominal_rows;
    return product;
}

void CudaBackend::multiply(View x, const DeviceMatrix& w, const float* bias, bool accumulate, View out) {
    if (x.rows == 0) return;
    products_.multiply(product_of(x, w, bias, accumulate, out, preferred_rows_));
}

void CudaBackend::linear(View x, const Matrix& w, const float* bias, bool accumulate, View out) {
    device_->use();
    check_product(x, w, out);
    const DeviceMatrix& matrix = static_cast<const DeviceMatrix&>(w);
    if (out.dtype == DType::F32 || (bias == nullptr && !accumulate))
        return multiply(x, matrix, bias, accumulate, out);
    // What is added joins before the one rounding: a bias can be far larger than the product.
    const Temporary<float> memory(*device_, out.rows * out.cols);
    const View wide{memory.get(), DType::F32, out.rows, out.cols, out.cols};
    if (accumulate) round_rows(out, wide, device_->compute());
    multiply(x, matrix, bias, accumulate, wide);
    round_rows(wide, out, device_->compute());
}

void CudaBackend::gated_linear(View x, const Matrix& gate_up, const float* bias, const GateFunction& function,
                               Rows rows, const Produced& out) {
    device_->use();
    check_gated(x, gate_up, rows, out);
    const auto& matrix = static_cast<const DeviceMatrix&>(gate_up);
    const std::int64_t n_out = matrix.n_out();
    const Temporary<std::byte> memory(*device_, rows.count() * n_out * size_of(dtype_));
    const View product{memory.get(), dtype_, rows.count(), n_out, n_out};
    multiply(x, matrix, nullptr, false, product);
    const RowTiles tiles = tiles_of(rows, kGatedTile);
    const PartialMemory sums(*device_, out.sums, tiles, n_out / 2);
    gate(product, bias, function, tiles, out, sums.partials, device_->compute());
    finish_sums(sums.partials, tiles, rows.n_chunks, out.sums, device_->compute());
}

}  // namespace assay::backend::cuda
