// Attention of every chunk and key head, with the sums of what leaves.
#include <algorithm>
#include <functional>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "backend/shapes.h"

namespace assay::backend::cpu {

namespace {

/// Rows of tokens, then those of the first tokens of whole blocks, side by side.
const float* gather_keys(const View& tokens, const View& blocks, std::int64_t first_row,
                         std::int64_t n_tokens, std::int64_t block_tokens, std::int64_t first_col,
                         std::int64_t cols, float* out) {
    float* next = out;
    const auto copy = [&](const View& view, std::int64_t row) {
        next = std::copy_n(view.row_f32(first_row + row) + first_col, cols, next);
    };
    for (std::int64_t row = 0; row < n_tokens; ++row) copy(tokens, row);
    for (std::int64_t row = 0; row + block_tokens <= n_tokens; row += block_tokens) copy(blocks, row);
    return out;
}

/// Some query heads of a key head of a chunk.
struct HeadTask {
    std::int64_t chunk = 0;
    std::int64_t kv_head = 0;
    std::int64_t part = 0;
    std::int64_t parts = 1;
};

/// Few key heads, or a chunk much longer than the others, would leave threads without work, so the query
/// heads are shared out by what a chunk costs. Each part packs keys and values for itself, which costs less
/// than a hundredth of what one query head does with them. Long chunks come first.
std::vector<HeadTask> head_tasks(const Rows& rows, std::int64_t n_kv_heads, std::int64_t group,
                                 int n_threads) {
    std::vector<std::int64_t> chunks;
    double total = 0;
    const auto cost = [&](std::int64_t chunk) {
        return static_cast<double>(rows.tokens(chunk)) * static_cast<double>(rows.tokens(chunk));
    };
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk) {
        if (rows.tokens(chunk) == 0) continue;
        chunks.push_back(chunk);
        total += cost(chunk);
    }
    std::ranges::stable_sort(chunks, std::greater(), [&](std::int64_t chunk) { return rows.tokens(chunk); });
    std::vector<HeadTask> tasks;
    for (const std::int64_t chunk : chunks) {
        const auto wanted = static_cast<std::int64_t>(2 * n_threads * cost(chunk) /
                                                      (total * static_cast<double>(n_kv_heads)));
        const std::int64_t parts = std::clamp<std::int64_t>(wanted, 1, group);
        for (std::int64_t kv_head = 0; kv_head < n_kv_heads; ++kv_head)
            for (std::int64_t part = 0; part < parts; ++part) tasks.push_back({chunk, kv_head, part, parts});
    }
    return tasks;
}

}  // namespace

void CpuBackend::attention(const AttentionArgs& args, Rows rows, const Produced& out) {
    check_attention(args, rows, out);
    const bool blocks = args.block_k.present();
    const auto keys_of = [&](std::int64_t n_tokens) {
        return n_tokens + (blocks ? n_tokens / args.block_tokens : 0);
    };
    const auto padded = [](std::int64_t n_keys) { return (n_keys + kKeyPad - 1) / kKeyPad * kKeyPad; };
    const std::int64_t most_keys = keys_of(rows.chunk_tokens);
    const std::int64_t most_padded = padded(most_keys);
    const std::int64_t group = args.n_heads / args.n_kv_heads;
    const std::int64_t cols = args.n_heads * args.value_dim;
    const std::size_t keys_bytes = kernels_.packed_keys_bytes(most_padded, args.head_dim);
    const std::size_t values_bytes = kernels_.packed_values_bytes(most_padded, args.value_dim);
    const std::size_t block_floats = kernels_.head_block_scratch(most_padded, args.head_dim, args.value_dim);
    const auto result_floats = static_cast<std::size_t>(kQueryBlock * args.value_dim);
    const auto gathered_floats =
        static_cast<std::size_t>(blocks ? most_keys * std::max(args.head_dim, args.value_dim) : 0);
    const std::vector<RowTile> tiles = row_tiles(rows, kQueryBlock);
    std::vector<std::size_t> first_tile;  // by chunk
    for (std::size_t t = 0; t < tiles.size(); ++t)
        while (std::ssize(first_tile) <= tiles[t].chunk) first_tile.push_back(t);
    first_tile.resize(static_cast<std::size_t>(rows.n_chunks) + 1, tiles.size());
    TileSums sums(out.sums, tiles.size(), cols);
    const std::span<const float> weights = rows.weights();
    const std::vector<HeadTask> tasks = head_tasks(rows, args.n_kv_heads, group, pool_.size());
    pool_.run(std::ssize(tasks), [&](std::int64_t task, int thread) {
        const auto [chunk, kv_head, part, parts] = tasks[static_cast<std::size_t>(task)];
        const std::int64_t first_row = rows.first_row(chunk);
        const std::int64_t n_tokens = rows.tokens(chunk);
        const std::int64_t n_keys = keys_of(n_tokens);
        const std::int64_t n_keys_padded = padded(n_keys);
        std::byte* keys =
            scratch(thread, keys_bytes + values_bytes +
                                (block_floats + result_floats + gathered_floats) * sizeof(float));
        std::byte* values = keys + keys_bytes;
        auto* result = reinterpret_cast<float*>(values + values_bytes);
        const float* k = args.k.row_f32(first_row) + kv_head * args.head_dim;
        const float* v = args.v.row_f32(first_row) + kv_head * args.value_dim;
        float* gathered = result + result_floats + block_floats;
        if (blocks)
            k = gather_keys(args.k, args.block_k, first_row, n_tokens, args.block_tokens,
                            kv_head * args.head_dim, args.head_dim, gathered);
        kernels_.pack_keys(k, blocks ? args.head_dim : args.k.stride, n_keys, n_keys_padded, args.head_dim,
                           keys);
        if (blocks)
            v = gather_keys(args.v, args.block_v, first_row, n_tokens, args.block_tokens,
                            kv_head * args.value_dim, args.value_dim, gathered);
        kernels_.pack_values(v, blocks ? args.value_dim : args.v.stride, n_keys, n_keys_padded,
                             args.value_dim, values);
        HeadBlock block;
        if (blocks) block.n_tokens = n_tokens;
        block.block_tokens = args.block_tokens;
        block.chosen_stride = args.chosen.stride;
        block.chosen_tokens = args.chosen_tokens;
        block.q_stride = args.q.stride;
        block.keys = keys;
        block.values = values;
        block.n_keys = n_keys;
        block.n_keys_padded = n_keys_padded;
        block.head_dim = args.head_dim;
        block.value_dim = args.value_dim;
        block.scale = args.scale;
        block.soft_cap = args.soft_cap;
        block.causal = args.causal;
        block.window = args.window;
        block.window_kind = args.window_kind;
        block.query_scale = args.query_scale;
        block.scratch = result + result_floats;
        block.out = result;
        block.out_stride = args.value_dim;
        for (std::int64_t head = kv_head * group + group * part / parts;
             head < kv_head * group + group * (part + 1) / parts; ++head) {
            block.sink = args.sinks != nullptr ? args.sinks + head : nullptr;
            block.slope = args.slopes != nullptr ? args.slopes[head] : 0;
            for (std::size_t t = first_tile[static_cast<std::size_t>(chunk)];
                 t < first_tile[static_cast<std::size_t>(chunk) + 1]; ++t) {
                const RowTile& tile = tiles[t];
                block.q = args.q.row_f32(tile.first_row) + head * args.head_dim;
                block.first_query = tile.first_row - first_row;
                block.n_queries = tile.n_rows;
                if (args.chosen.present()) block.chosen = args.chosen.row_f32(tile.first_row);
                kernels_.head_block(block);
                const std::int64_t col = head * args.value_dim;
                for (std::int64_t r = 0; r < tile.n_rows; ++r)
                    finish_row(result + r * args.value_dim, tile.first_row + r, col, args.value_dim, out,
                               sums.at(static_cast<std::int64_t>(t), col),
                               weight_of(weights, tile.first_row + r));
            }
        }
    });
    sums.combine(tiles, rows.n_chunks, out.sums);
}

}  // namespace assay::backend::cpu
