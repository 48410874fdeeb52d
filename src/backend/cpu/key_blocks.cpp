// Keys of whole blocks, and an indexer's choice among them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/row_ranges.h"
#include "backend/row_shapes.h"

namespace assay::backend::cpu {

namespace {

/// One row's part in a block's key.
struct Place {
    const float* x;
    const float* gate;  ///< null: 0
    const float* bias;  ///< null: 0
};

/// Means of x weighted by softmax(gate + bias) of each column over the places.
void pool_block(std::span<const Place> places, std::int64_t cols, float* out) {
    for (std::int64_t c = 0; c < cols; ++c) {
        const auto score = [c](const Place& place) {
            return (place.gate != nullptr ? place.gate[c] : 0) + (place.bias != nullptr ? place.bias[c] : 0);
        };
        float largest = -INFINITY;
        for (const Place& place : places) largest = std::max(largest, score(place));
        float sum = 0, total = 0;
        for (const Place& place : places) {
            const float weight = std::exp(score(place) - largest);
            sum += weight;
            total += weight * place.x[c];
        }
        out[c] = total / sum;
    }
}

/// The n best of n_candidates scores become 1. Equal scores, which one small head may give, are taken in the
/// order of partial_sort, as llama.cpp does.
void choose(std::vector<std::int64_t>& order, const float* scores, std::int64_t n_candidates, std::int64_t n,
            float* out) {
    order.resize(static_cast<std::size_t>(n_candidates));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::partial_sort(order.begin(), order.begin() + n, order.end(),
                      [scores](std::int64_t a, std::int64_t b) { return scores[a] > scores[b]; });
    for (std::int64_t i = 0; i < n; ++i) out[order[static_cast<std::size_t>(i)]] = 1;
}

}  // namespace

void CpuBackend::pool(const PoolArgs& args, Rows rows, View out) {
    check_pool(args, rows, out);
    if (rows.table != nullptr)
        return each_equal_run(rows, [&](std::int64_t first, Rows some) {
            pool(rows_of(args, first, some.count()), some, out.row_range(first, some.count()));
        });
    const std::int64_t block = args.block_tokens, cols = out.cols;
    const std::int64_t n_blocks = (rows.chunk_tokens + block - 1) / block;
    pool_.run(rows.n_chunks * n_blocks, [&](std::int64_t task, int) {
        const std::int64_t chunk_row = task / n_blocks * rows.chunk_tokens;
        const std::int64_t first = task % n_blocks * block;
        const std::int64_t end = std::min(first + block, rows.chunk_tokens);
        for (std::int64_t p = first; p < end; ++p)
            std::memset(out.row_f32(chunk_row + p), 0, static_cast<std::size_t>(cols) * sizeof(float));
        if (end - first < block) return;
        std::vector<Place> places;
        const auto add = [&](std::int64_t position, std::int64_t col) {
            const std::int64_t row = chunk_row + position;
            places.push_back(
                {args.x.row_f32(row) + col, args.gate.present() ? args.gate.row_f32(row) + col : nullptr,
                 args.bias != nullptr ? args.bias + position % block * args.x.cols + col : nullptr});
        };
        if (args.overlapping)
            for (std::int64_t p = std::max<std::int64_t>(0, first - block); p < first; ++p) add(p, 0);
        for (std::int64_t p = first; p < end; ++p) add(p, args.overlapping ? cols : 0);
        pool_block(places, cols, out.row_f32(chunk_row + first));
    });
}

void CpuBackend::select(const SelectArgs& args, Rows rows, View out) {
    check_select(args, rows, out);
    if (rows.table != nullptr)
        return each_equal_run(rows, [&](std::int64_t first, Rows some) {
            select(rows_of(args, first, some.count()), some, out.row_range(first, some.count()));
        });
    const std::int64_t block = args.block_tokens, dim = args.k.cols;
    const std::int64_t n_blocks = rows.chunk_tokens / block;
    const std::vector<RowTile> tiles = row_tiles(rows, kRowTile);
    // Keys of a chunk lie transposed, so that a query's component meets all of them at once.
    std::vector<float> keys(static_cast<std::size_t>(rows.n_chunks * dim * n_blocks));
    pool_.run(rows.n_chunks, [&](std::int64_t chunk, int) {
        for (std::int64_t j = 0; j < n_blocks; ++j) {
            const float* k = args.k.row_f32(chunk * rows.chunk_tokens + j * block);
            for (std::int64_t c = 0; c < dim; ++c)
                keys[static_cast<std::size_t>((chunk * dim + c) * n_blocks + j)] = k[c];
        }
    });
    pool_.run(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t task, int) {
        const RowTile& tile = tiles[static_cast<std::size_t>(task)];
        std::vector<float> products(static_cast<std::size_t>(n_blocks)), scores(products.size());
        std::vector<std::int64_t> order;
        for (std::int64_t row = tile.first_row; row < tile.first_row + tile.n_rows; ++row) {
            const std::int64_t position = row - tile.chunk * rows.chunk_tokens;
            const std::int64_t n = (position + 1) / block;
            float* chosen = out.row_f32(row);
            std::fill_n(chosen, out.cols, 0.0f);
            if (args.tail && n * block <= position) chosen[n] = 1;
            if (n <= args.n_chosen) {
                std::fill_n(chosen, n, 1.0f);
                continue;
            }
            std::fill(scores.begin(), scores.end(), 0.0f);
            for (std::int64_t head = 0; head < args.n_heads; ++head) {
                std::fill(products.begin(), products.end(), 0.0f);
                const float* q = args.q.row_f32(row) + head * dim;
                for (std::int64_t c = 0; c < dim; ++c)
                    kernels_.axpy(q[c], keys.data() + (tile.chunk * dim + c) * n_blocks, n, products.data());
                for (float& product : products) product = std::max(product, 0.0f);
                kernels_.axpy(args.weights.present() ? args.weights.row_f32(row)[head] : 1.0f,
                              products.data(), n, scores.data());
            }
            choose(order, scores.data(), n, args.n_chosen, chosen);
        }
    });
}

}  // namespace assay::backend::cpu
