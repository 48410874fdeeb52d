// Chains: a thread takes a few columns of a group of rows through all links, and keeps their sums. The links
// are the kernel's argument, so every thread of the grid takes the same way through the choice of what a link
// is; what a chain costs is its memory.
#include "backend/cuda/convert.cuh"
#include "backend/cuda/device.h"
#include "backend/cuda/functions.cuh"
#include "backend/cuda/kernels.h"
#include "backend/cuda/row_tiles.cuh"
#include "backend/cuda/runs.cuh"

namespace assay::backend::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWide = 4;  ///< columns side by side

/// What a thread's columns read of an operand.
enum class Reach : std::uint8_t {
    None,
    Run,   ///< as many values side by side
    One,   ///< one value for all
    Each,  ///< each its own
};

struct DeviceLink {
    const void* data;
    std::int64_t stride;  ///< 0: a vector
    int n;
    int period;  ///< columns that share a value, where the operand is not tiled
    LinkKind kind;
    Activation activation;
    Reach reach;
    bool half;
    bool tiled;
    bool previous;
    float a;
    float b;
};

struct ChainArgs {
    const void* x;
    std::int64_t x_stride;
    bool half_x;
    int cols;
    int n_links;
    RowTiles tiles;
    void* operand;
    std::int64_t operand_stride;
    bool half_operand;
    bool wide_operand;  ///< rows aligned for whole runs
    void* plain;
    std::int64_t plain_stride;
    bool half_plain;
    bool wide_plain;
    Partials partials;
    DeviceLink links[kMaxLinks];
};

template <typename T, int kCols>
__device__ void load_as(const void* data, std::int64_t at, float (&to)[kCols]) {
    const auto run = *reinterpret_cast<const Run<T, kCols>*>(static_cast<const T*>(data) + at);
#pragma unroll
    for (int c = 0; c < kCols; ++c) to[c] = to_float(run.values[c]);
}

template <int kCols>
__device__ void load_run(const void* data, std::int64_t at, bool half, float (&to)[kCols]) {
    if (half)
        load_as<Bf16>(data, at, to);
    else
        load_as<float>(data, at, to);
}

template <int kCols>
__device__ void store_as(void* data, std::int64_t at, bool half, const float* values, bool wide) {
    if (half)
        store_run<kCols>(static_cast<Bf16*>(data) + at, values, wide);
    else
        store_run<kCols>(static_cast<float*>(data) + at, values, wide);
}

template <int kCols>
__device__ void load_operand(const DeviceLink& link, std::int64_t row, bool first_row, int col, int cols,
                             float (&y)[kCols]) {
#pragma unroll
    for (int c = 0; c < kCols; ++c) y[c] = 0;
    if (link.previous && first_row) return;
    const std::int64_t at = (link.previous ? row - 1 : row) * link.stride;
    if (link.reach == Reach::Run) {
        load_run(link.data, at + (link.n == cols ? col : col % link.n), link.half, y);
    } else if (link.reach == Reach::One) {
        float value[1];
        load_run(link.data, at + col / link.period, link.half, value);
#pragma unroll
        for (int c = 0; c < kCols; ++c) y[c] = value[0];
    } else {
#pragma unroll
        for (int c = 0; c < kCols; ++c) {
            float value[1];
            load_run(link.data, at + (link.tiled ? (col + c) % link.n : (col + c) / link.period), link.half,
                     value);
            y[c] = value[0];
        }
    }
}

template <int kCols>
__device__ void apply_link(const DeviceLink& link, std::int64_t row, bool first_row, int col, int cols,
                           float (&v)[kCols]) {
    float y[kCols];
    if (link.reach != Reach::None) load_operand(link, row, first_row, col, cols, y);
    const auto each = [&](auto body) {
#pragma unroll
        for (int c = 0; c < kCols; ++c) v[c] = body(v[c], y[c]);
    };
    switch (link.kind) {
        case LinkKind::Apply: each([&](float x, float) { return apply_function(link.activation, x); }); break;
        case LinkKind::Affine: each([&](float x, float) { return x * link.a + link.b; }); break;
        case LinkKind::Clamp:
            each([&](float x, float) { return x < link.a ? link.a : x > link.b ? link.b : x; });
            break;
        case LinkKind::Times: each([](float x, float o) { return x * o; }); break;
        case LinkKind::Plus: each([](float x, float o) { return x + o; }); break;
        case LinkKind::Minus: each([](float x, float o) { return x - o; }); break;
    }
}

template <int kCols>
__global__ void __launch_bounds__(kThreads, 4) chain_kernel(const __grid_constant__ ChainArgs a) {
    const int col = static_cast<int>(blockIdx.x * kThreads + threadIdx.x) * kCols;
    if (col >= a.cols) return;
    const unsigned index = blockIdx.z * gridDim.y + blockIdx.y;
    const RowTile tile = tile_at(a.tiles, index);
    float squares[kCols] = {};
    float plain[kCols] = {};
#pragma unroll 1
    for (std::int64_t row = tile.first; row < tile.last; ++row) {
        const float weight = weight_at(a.tiles, row);
        float v[kCols];
        load_run(a.x, row * a.x_stride + col, a.half_x, v);
#pragma unroll 1
        for (int i = 0; i < a.n_links; ++i)
            apply_link(a.links[i], row, row == tile.chunk_begin, col, a.cols, v);
        if (a.operand != nullptr)
            store_as<kCols>(a.operand, row * a.operand_stride + col, a.half_operand, v, a.wide_operand);
        if (a.plain != nullptr)
            store_as<kCols>(a.plain, row * a.plain_stride + col, a.half_plain, v, a.wide_plain);
#pragma unroll
        for (int c = 0; c < kCols; ++c) {
            const float weighted = weight * v[c];
            squares[c] += weighted * v[c];
            plain[c] += weighted;
        }
    }
    const std::int64_t to = static_cast<std::int64_t>(index) * a.cols + col;
    if (a.partials.squares != nullptr) store_run<kCols>(a.partials.squares + to, squares, kCols > 1);
    if (a.partials.plain != nullptr) store_run<kCols>(a.partials.plain + to, plain, kCols > 1);
}

DeviceLink device_link(const Link& link, std::int64_t cols, int columns_a_thread) {
    DeviceLink to{};
    to.kind = link.kind;
    to.activation = link.activation;
    to.a = link.a;
    to.b = link.b;
    if (!link.view.present() && link.vector == nullptr) return to;
    const DType dtype = link.vector != nullptr ? DType::F32 : link.view.dtype;
    to.data = link.vector != nullptr ? link.vector : link.view.data;
    to.stride = link.vector != nullptr ? 0 : link.view.stride;
    to.half = dtype == DType::Bf16;
    to.n = static_cast<int>(link.n);
    to.period = static_cast<int>(cols / link.n);
    to.tiled = link.tiled || link.n == cols;
    to.previous = link.previous && link.vector == nullptr;
    const bool runs =
        columns_a_thread == 1 || (link.n % kWide == 0 && rows_aligned<kWide>(to.data, to.stride, dtype));
    if (to.tiled)
        to.reach = runs ? Reach::Run : Reach::Each;
    else
        to.reach = to.period % columns_a_thread == 0 ? Reach::One : Reach::Each;
    return to;
}

template <int kCols> void launch(ChainArgs& a, std::span<const Link> links, cudaStream_t stream) {
    for (std::size_t i = 0; i < links.size(); ++i) a.links[i] = device_link(links[i], a.cols, kCols);
    const int cols_a_block = kThreads * kCols;
    const dim3 grid(static_cast<unsigned>((a.cols + cols_a_block - 1) / cols_a_block), a.tiles.grid_tiles(),
                    a.tiles.grid_chunks());
    chain_kernel<kCols><<<grid, kThreads, 0, stream>>>(a);
    check(cudaGetLastError(), "a chain");
}

}  // namespace

void chain(View x, std::span<const Link> links, const RowTiles& tiles, const Produced& out,
           const Partials& partials, cudaStream_t stream) {
    if (tiles.n == 0) return;
    ChainArgs a{};
    a.x = x.data;
    a.x_stride = x.stride;
    a.half_x = x.dtype == DType::Bf16;
    a.cols = static_cast<int>(x.cols);
    a.n_links = static_cast<int>(links.size());
    a.tiles = tiles;
    a.operand = out.operand.data;
    a.operand_stride = out.operand.stride;
    a.half_operand = out.operand.dtype == DType::Bf16;
    a.wide_operand = rows_aligned<kWide>(a.operand, a.operand_stride, out.operand.dtype);
    a.plain = out.plain.data;
    a.plain_stride = out.plain.stride;
    a.half_plain = out.plain.dtype == DType::Bf16;
    a.wide_plain = rows_aligned<kWide>(a.plain, a.plain_stride, out.plain.dtype);
    a.partials = partials;
    if (a.cols % kWide == 0 && rows_aligned<kWide>(x.data, x.stride, x.dtype))
        launch<kWide>(a, links, stream);
    else
        launch<1>(a, links, stream);
}

}  // namespace assay::backend::cuda
