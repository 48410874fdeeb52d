#include "backend/cuda/weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/processors.h"
#include "quant/iq_grids.h"

namespace assay::backend::cuda {

void refuse_type(quant::TypeId type);  // called by decode.cu, which does not see core/error.h

void refuse_type(quant::TypeId type) {
    throw_error(ErrorKind::Unsupported, "cuda", "type {} has no decoder for the device",
                quant::type_info(type).name);
}

DeviceMatrix::DeviceMatrix(DevicePtr device, DType dtype, std::int64_t n_in, std::int64_t n_out)
    : device_(std::move(device)),
      dtype_(dtype),
      n_in_(n_in),
      n_out_(n_out),
      size_bytes_(static_cast<std::size_t>(n_in * n_out * size_of(dtype))),
      data_(device_->allocate(size_bytes_, device_->copy())),
      ready_(make_event()) {}

DeviceMatrix::~DeviceMatrix() {
    // Memory returns on the compute stream, which may not have waited for the decoding yet.
    cudaSetDevice(device_->index());
    if (marked_)
        cudaStreamWaitEvent(device_->compute(), ready_.get(), 0);
    else
        cudaStreamSynchronize(device_->copy());
    device_->release(data_);
}

void DeviceMatrix::mark_ready() {
    check(cudaEventRecord(ready_.get(), device_->copy()), "recording an event");
    marked_ = true;
}

const void* DeviceMatrix::acquire() const {
    check(cudaStreamWaitEvent(device_->compute(), ready_.get(), 0), "waiting for weights");
    return data_;
}

namespace {

constexpr std::size_t kPieceBytes = std::size_t{32} << 20;
/// One processor copies from the page cache several times slower than the bus takes; more than a few wait for
/// memory.
constexpr int kMostFillers = 8;
constexpr std::size_t kFillBytes = std::size_t{1} << 20;

int n_fillers() { return std::clamp(available_processors() / 2, 1, kMostFillers); }

}  // namespace

Loader::Loader(DevicePtr device)
    : device_(std::move(device)), fillers_(n_fillers()), piece_bytes_(kPieceBytes) {
    for (Piece& piece : pieces_) {
        piece.host = PinnedMemory(piece_bytes_);
        piece.device = std::make_unique<DeviceBuffer>(device_, piece_bytes_, device_->copy());
        piece.done = make_event();
        check(cudaEventRecord(piece.done.get(), device_->copy()), "recording an event");
    }
    std::vector<std::int8_t> points;
    const auto append = [&](const auto& grid) {
        const std::size_t first = points.size();
        for (const auto& point : grid) points.insert(points.end(), point.begin(), point.end());
        return first;
    };
    const std::size_t iq1 = append(quant::kGridIq1);
    const std::size_t iq2_xxs = append(quant::kGridIq2Xxs);
    const std::size_t iq2_xs = append(quant::kGridIq2Xs);
    const std::size_t iq2_s = append(quant::kGridIq2S);
    const std::size_t iq3_xxs = append(quant::kGridIq3Xxs);
    const std::size_t iq3_s = append(quant::kGridIq3S);
    books_memory_ = std::make_unique<DeviceBuffer>(device_, points.size(), device_->copy());
    check(cudaMemcpyAsync(books_memory_->data(), points.data(), points.size(), cudaMemcpyHostToDevice,
                          device_->copy()),
          "copying the codebooks");
    check(cudaStreamSynchronize(device_->copy()), "copying the codebooks");
    const auto* base = reinterpret_cast<const std::int8_t*>(books_memory_->data());
    books_ = {base + iq1, base + iq2_xxs, base + iq2_xs, base + iq2_s, base + iq3_xxs, base + iq3_s};
}

template <typename Copy>
void Loader::stage(const WeightSource& source, std::int64_t n_rows, float scale, std::int64_t first_col,
                   View out, cudaStream_t stream, const Copy& copy) {
    const auto row_bytes =
        static_cast<std::size_t>(quant::row_bytes(*source.type, static_cast<std::uint64_t>(source.n_in)));
    if (source.bytes.size() != row_bytes * static_cast<std::size_t>(source.n_out))
        throw_error(ErrorKind::Shape, "cuda", "{} bytes for {} rows of {} {} weights, expected {}",
                    source.bytes.size(), source.n_out, source.n_in, source.type->name,
                    row_bytes * static_cast<std::size_t>(source.n_out));
    if (row_bytes > piece_bytes_)
        throw_error(ErrorKind::Unsupported, "cuda", "a row of {} bytes, at most {} are staged at a time",
                    row_bytes, piece_bytes_);
    const auto rows_within = [&](std::size_t bytes) {
        return static_cast<std::int64_t>(
            std::max<std::size_t>(1, bytes / std::max<std::size_t>(row_bytes, 1)));
    };
    const std::int64_t rows_at_a_time = rows_within(piece_bytes_);
    const std::int64_t rows_a_task = rows_within(kFillBytes);
    for (std::int64_t first = 0; first < n_rows; first += rows_at_a_time) {
        const std::int64_t count = std::min(rows_at_a_time, n_rows - first);
        const std::lock_guard lock(mutex_);
        Piece& piece = pieces_[next_++ % pieces_.size()];
        check(cudaEventSynchronize(piece.done.get()), "copying weights");
        fillers_.run((count + rows_a_task - 1) / rows_a_task, [&](std::int64_t task, int) {
            const std::int64_t end = std::min(count, (task + 1) * rows_a_task);
            for (std::int64_t row = task * rows_a_task; row < end; ++row)
                copy(first + row, piece.host.data() + static_cast<std::size_t>(row) * row_bytes);
        });
        check(cudaMemcpyAsync(piece.device->data(), piece.host.data(),
                              static_cast<std::size_t>(count) * row_bytes, cudaMemcpyHostToDevice, stream),
              "copying weights");
        DecodeArgs args;
        args.bytes = reinterpret_cast<const std::uint8_t*>(piece.device->data());
        args.row_bytes = static_cast<std::int64_t>(row_bytes);
        args.row_meta = source.type->row_meta;
        args.n_rows = count;
        args.row_cols = source.n_in;
        args.first_col = first_col;
        args.n_cols = out.cols;
        args.scale = scale;
        args.out = out.at(first, 0);
        args.out_stride = out.stride;
        args.out_dtype = out.dtype;
        decode(source.type->id, books_, args, stream);
        check(cudaEventRecord(piece.done.get(), stream), "recording an event");
    }
}

void Loader::decode_rows(const WeightSource& source, View out, cudaStream_t stream) {
    const auto row_bytes = quant::row_bytes(*source.type, static_cast<std::uint64_t>(source.n_in));
    stage(source, source.n_out, source.scale, 0, out, stream, [&](std::int64_t row, std::byte* to) {
        std::memcpy(to, source.bytes.data() + static_cast<std::uint64_t>(row) * row_bytes, row_bytes);
    });
}

void Loader::decode_rows(const WeightSource& table, std::span<const std::int32_t> rows, float scale,
                         std::int64_t first_col, View out, cudaStream_t stream) {
    const auto row_bytes = quant::row_bytes(*table.type, static_cast<std::uint64_t>(table.n_in));
    stage(table, static_cast<std::int64_t>(rows.size()), scale, first_col, out, stream,
          [&](std::int64_t i, std::byte* to) {
              const auto row = static_cast<std::uint64_t>(rows[static_cast<std::size_t>(i)]);
              std::memcpy(to, table.bytes.data() + row * row_bytes, row_bytes);
          });
}

void Loader::copy(std::span<const float> values, void* to) {
    const std::lock_guard lock(mutex_);
    check(cudaMemcpyAsync(to, values.data(), values.size_bytes(), cudaMemcpyHostToDevice, device_->copy()),
          "copying numbers");
    check(cudaStreamSynchronize(device_->copy()), "copying numbers");
}

}  // namespace assay::backend::cuda
