// Attention of every chunk and key head, with the sums of what leaves.
#include <algorithm>

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

}  // namespace

void CpuBackend::attention(const AttentionArgs& args, Rows rows, const Produced& out) {
    check_attention(args, rows, out);
    if (rows.count() == 0) return;
    const bool blocks = args.block_k.present();
    const std::int64_t n_keys = rows.chunk_tokens + (blocks ? rows.chunk_tokens / args.block_tokens : 0);
    const std::int64_t n_keys_padded = (n_keys + kKeyPad - 1) / kKeyPad * kKeyPad;
    const std::int64_t group = args.n_heads / args.n_kv_heads;
    const std::int64_t cols = args.n_heads * args.value_dim;
    const std::size_t keys_bytes = kernels_.packed_keys_bytes(n_keys_padded, args.head_dim);
    const std::size_t values_bytes = kernels_.packed_values_bytes(n_keys_padded, args.value_dim);
    const std::size_t block_floats =
        kernels_.head_block_scratch(n_keys_padded, args.head_dim, args.value_dim);
    const auto result_floats = static_cast<std::size_t>(kQueryBlock * args.value_dim);
    const auto gathered_floats =
        static_cast<std::size_t>(blocks ? n_keys * std::max(args.head_dim, args.value_dim) : 0);
    const std::vector<RowTile> tiles = row_tiles(rows, kQueryBlock);
    const std::int64_t tiles_per_chunk = static_cast<std::int64_t>(tiles.size()) / rows.n_chunks;
    TileSums sums(out.sums, tiles.size(), cols);

    // Few key heads would leave threads without work, so their query heads are shared out. Each part packs
    // keys and values for itself, which costs less than a hundredth of what one query head does with them.
    const std::int64_t whole = rows.n_chunks * args.n_kv_heads;
    const std::int64_t parts = std::clamp<std::int64_t>(2 * pool_.size() / whole, 1, group);
    pool_.run(whole * parts, [&](std::int64_t task, int thread) {
        const std::int64_t part = task % parts;
        const std::int64_t chunk = task / parts / args.n_kv_heads;
        const std::int64_t kv_head = task / parts % args.n_kv_heads;
        const std::int64_t first_row = chunk * rows.chunk_tokens;
        std::byte* keys =
            scratch(thread, keys_bytes + values_bytes +
                                (block_floats + result_floats + gathered_floats) * sizeof(float));
        std::byte* values = keys + keys_bytes;
        auto* result = reinterpret_cast<float*>(values + values_bytes);
        const float* k = args.k.row_f32(first_row) + kv_head * args.head_dim;
        const float* v = args.v.row_f32(first_row) + kv_head * args.value_dim;
        float* gathered = result + result_floats + block_floats;
        if (blocks)
            k = gather_keys(args.k, args.block_k, first_row, rows.chunk_tokens, args.block_tokens,
                            kv_head * args.head_dim, args.head_dim, gathered);
        kernels_.pack_keys(k, blocks ? args.head_dim : args.k.stride, n_keys, n_keys_padded, args.head_dim,
                           keys);
        if (blocks)
            v = gather_keys(args.v, args.block_v, first_row, rows.chunk_tokens, args.block_tokens,
                            kv_head * args.value_dim, args.value_dim, gathered);
        kernels_.pack_values(v, blocks ? args.value_dim : args.v.stride, n_keys, n_keys_padded,
                             args.value_dim, values);
        HeadBlock block;
        if (blocks) block.n_tokens = rows.chunk_tokens;
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
            for (std::int64_t t = chunk * tiles_per_chunk; t < (chunk + 1) * tiles_per_chunk; ++t) {
                const RowTile& tile = tiles[static_cast<std::size_t>(t)];
                block.q = args.q.row_f32(tile.first_row) + head * args.head_dim;
                block.first_query = tile.first_row - first_row;
                block.n_queries = tile.n_rows;
                if (args.chosen.present()) block.chosen = args.chosen.row_f32(tile.first_row);
                kernels_.head_block(block);
                const std::int64_t col = head * args.value_dim;
                for (std::int64_t r = 0; r < tile.n_rows; ++r)
                    finish_row(result + r * args.value_dim, tile.first_row + r, col, args.value_dim, out,
                               sums.at(t, col));
            }
        }
    });
    sums.combine(tiles, out.sums);
}

}  // namespace assay::backend::cpu
