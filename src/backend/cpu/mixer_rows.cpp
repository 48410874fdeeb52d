// Operations on rows that mixers other than attention, and streams beside one another, ask for.
#include <algorithm>
#include <array>
#include <cmath>

#include "backend/cpu/cpu_backend.h"
#include "backend/row_shapes.h"

namespace assay::backend::cpu {

namespace {

/// Columns at a time: the rows that one result is made of stay in the first-level cache.
constexpr std::int64_t kRun = 512;

std::int64_t runs_of(std::int64_t cols) { return (cols + kRun - 1) / kRun; }

/// One row of Backend::sinkhorn.
void balance(const float* x, std::int64_t n, std::int64_t iterations, float eps, float* out) {
    std::array<float, static_cast<std::size_t>(kMaxStreams * kMaxStreams)> values;  // [src, dst]
    const auto at = [&](std::int64_t src, std::int64_t dst) -> float& {
        return values[static_cast<std::size_t>(src * n + dst)];
    };
    const auto divide = [&](auto element) {
        for (std::int64_t i = 0; i < n; ++i) {
            float sum = eps;
            for (std::int64_t j = 0; j < n; ++j) sum += element(i, j);
            for (std::int64_t j = 0; j < n; ++j) element(i, j) /= sum;
        }
    };
    const auto over_dst = [&](std::int64_t i, std::int64_t j) -> float& { return at(i, j); };
    const auto over_src = [&](std::int64_t i, std::int64_t j) -> float& { return at(j, i); };
    for (std::int64_t src = 0; src < n; ++src) {
        const float* row = x + src * n;
        const float largest = *std::max_element(row, row + n);
        float sum = 0;
        for (std::int64_t dst = 0; dst < n; ++dst) sum += at(src, dst) = std::exp(row[dst] - largest);
        for (std::int64_t dst = 0; dst < n; ++dst) at(src, dst) = at(src, dst) / sum + eps;
    }
    divide(over_src);
    for (std::int64_t i = 1; i < iterations; ++i) {
        divide(over_dst);
        divide(over_src);
    }
    for (std::int64_t src = 0; src < n; ++src)
        for (std::int64_t dst = 0; dst < n; ++dst) out[dst * n + src] = at(src, dst);
}

}  // namespace

void CpuBackend::each_row(std::int64_t n_rows, const std::function<void(std::int64_t row)>& body) {
    pool_.run((n_rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(n_rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) body(row);
    });
}

void CpuBackend::convolve(const ConvolveArgs& args, Rows rows, View out) {
    check_convolve(args, rows, out);
    const View& x = args.x;
    const std::int64_t kernel = args.kernel;
    std::vector<float> taps(static_cast<std::size_t>(kernel * x.cols));  // [kernel, cols]
    for (std::int64_t c = 0; c < x.cols; ++c)
        for (std::int64_t j = 0; j < kernel; ++j)
            taps[static_cast<std::size_t>(j * x.cols + c)] = args.weight[c * kernel + j];
    const std::vector<RowTile> tiles = row_tiles(rows, kRowTile);
    const std::int64_t n_runs = runs_of(x.cols);
    pool_.run(static_cast<std::int64_t>(tiles.size()) * n_runs, [&](std::int64_t task, int) {
        const RowTile& tile = tiles[static_cast<std::size_t>(task / n_runs)];
        const std::int64_t first = task % n_runs * kRun;
        for (std::int64_t i = 0; i < tile.n_rows; ++i) {
            const std::int64_t row = tile.first_row + i;
            ConvolveRow piece;
            piece.x = x.row_f32(row) + first;
            piece.x_stride = args.dilation * x.stride;
            piece.n_taps = std::min(kernel, (tile.first_position + i) / args.dilation + 1);
            piece.weight = taps.data() + (kernel - piece.n_taps) * x.cols + first;
            piece.weight_stride = x.cols;
            piece.bias = args.bias != nullptr ? args.bias + first : nullptr;
            piece.activation = args.activation;
            piece.n = std::min(kRun, x.cols - first);
            piece.out = out.row_f32(row) + first;
            kernels_.convolve_row(piece);
        }
    });
}

void CpuBackend::mix(View x, View coefficients, std::int64_t n_in, std::int64_t n_out, bool accumulate,
                     View out) {
    check_mix(x, coefficients, n_in, n_out, out);
    const std::int64_t width = x.cols / n_in;
    each_row(x.rows, [&](std::int64_t row) {
        for (std::int64_t first = 0; first < width; first += kRun)
            for (std::int64_t stream = 0; stream < n_out; ++stream)
                kernels_.mix_stream(x.row_f32(row) + first, width, coefficients.row_f32(row) + stream * n_in,
                                    n_in, accumulate, std::min(kRun, width - first),
                                    out.row_f32(row) + stream * width + first);
    });
}

void CpuBackend::reduce(View x, Reduction kind, std::int64_t n_slices, View out) {
    check_reduce(x, n_slices, out);
    const std::int64_t width = x.cols / n_slices;
    each_row(x.rows, [&](std::int64_t row) {
        for (std::int64_t slice = 0; slice < n_slices; ++slice)
            out.row_f32(row)[slice] = kernels_.reduce_row(x.row_f32(row) + slice * width, width, kind);
    });
}

void CpuBackend::softmax(View x, std::int64_t n_slices, View out) {
    check_softmax(x, n_slices, out);
    const std::int64_t width = x.cols / n_slices;
    each_row(x.rows, [&](std::int64_t row) {
        for (std::int64_t first = 0; first < x.cols; first += width) {
            const float* from = x.row_f32(row) + first;
            float* to = out.row_f32(row) + first;
            const float largest = *std::max_element(from, from + width);
            const auto factor = static_cast<float>(1 / kernels_.exp_row(from, width, largest, to));
            for (std::int64_t j = 0; j < width; ++j) to[j] *= factor;
        }
    });
}

void CpuBackend::sinkhorn(View x, std::int64_t n, std::int64_t iterations, float eps, View out) {
    check_sinkhorn(x, n, iterations, out);
    each_row(x.rows,
             [&](std::int64_t row) { balance(x.row_f32(row), n, iterations, eps, out.row_f32(row)); });
}

}  // namespace assay::backend::cpu
