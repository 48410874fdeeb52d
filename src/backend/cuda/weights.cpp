#include "backend/cuda/weights.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/processors.h"
#include "quant/iq_grids.h"
#include "quant/row_reader.h"

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

constexpr std::size_t kPieceBytes = std::size_t{16} << 20;
/// One processor copies from the page cache several times slower than the bus takes; more than a few wait for
/// memory.
constexpr int kMostFillers = 8;
/// Small enough that a matrix of one expert keeps them all busy.
constexpr std::size_t kFillBytes = std::size_t{256} << 10;

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
    std::vector<std::int8_t> tables;
    std::vector<std::pair<const std::int8_t * Codebooks::*, std::size_t>> places;
    const auto append = [&](const std::int8_t* Codebooks::*place, std::span<const std::int8_t> table) {
        places.emplace_back(place, tables.size());
        tables.insert(tables.end(), table.begin(), table.end());
    };
    const auto append_grid = [&](const std::int8_t* Codebooks::*place, const auto& grid) {
        append(place, {grid[0].data(), grid.size() * grid[0].size()});
    };
    append_grid(&Codebooks::iq1, quant::kGridIq1);
    append_grid(&Codebooks::iq2_xxs, quant::kGridIq2Xxs);
    append_grid(&Codebooks::iq2_xs, quant::kGridIq2Xs);
    append_grid(&Codebooks::iq2_s, quant::kGridIq2S);
    append_grid(&Codebooks::iq3_xxs, quant::kGridIq3Xxs);
    append_grid(&Codebooks::iq3_s, quant::kGridIq3S);
    append(&Codebooks::ik2_levels, quant::kIk2Levels);
    append(&Codebooks::ik3_levels, quant::kIk3Levels);
    append(&Codebooks::iq4_levels, quant::kIq4Levels);
    append(&Codebooks::ik5_levels, quant::kIk5Levels);
    append(&Codebooks::ik2_pairs, quant::kIk2Pairs);
    append(&Codebooks::fp4_doubled, quant::kFp4Doubled);
    books_memory_ = std::make_unique<DeviceBuffer>(device_, tables.size(), device_->copy());
    check(cudaMemcpyAsync(books_memory_->data(), tables.data(), tables.size(), cudaMemcpyHostToDevice,
                          device_->copy()),
          "copying the codebooks");
    check(cudaStreamSynchronize(device_->copy()), "copying the codebooks");
    const auto* base = reinterpret_cast<const std::int8_t*>(books_memory_->data());
    for (const auto& [place, offset] : places) books_.*place = base + offset;
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
    if (row_bytes * source.type->group_rows > piece_bytes_)
        throw_error(ErrorKind::Unsupported, "cuda",
                    "{} row(s) of {} bytes, at most {} bytes are staged at a time", source.type->group_rows,
                    row_bytes, piece_bytes_);
    const std::size_t together = source.type->group_rows;
    const auto rows_within = [&](std::size_t bytes) {
        const std::size_t groups = bytes / std::max<std::size_t>(row_bytes * together, 1);
        return static_cast<std::int64_t>(std::max<std::size_t>(1, groups) * together);
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
    if (table.type->group_rows > 1) {  // where no program puts a vocabulary: decoded here, row by row
        std::vector<float> values(rows.size() * static_cast<std::size_t>(table.n_in));
        quant::RowReader reader(*table.type, static_cast<std::uint64_t>(table.n_in), detect_isa());
        std::vector<std::int32_t> places;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            reader.read(table.bytes.data(), static_cast<std::uint64_t>(rows[i]),
                        values.data() + i * static_cast<std::size_t>(table.n_in));
            places.push_back(static_cast<std::int32_t>(i));
        }
        return decode_rows({&quant::type_info(quant::TypeId::F32), std::as_bytes(std::span(values)),
                            table.n_in, static_cast<std::int64_t>(rows.size()), 1},
                           places, scale, first_col, out, stream);
    }
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
