// Attention as two matrix products with a softmax between, a tile of queries at a time: for heads that the
// tiles of attention_tiles.cu do not hold, and for chosen keys.
#include <algorithm>

#include "backend/cuda/attention_softmax.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"

namespace assay::backend::cuda {

namespace {

/// Of a tile's scores and weights.
constexpr std::int64_t kTileBytes = std::int64_t{192} << 20;
/// Where all heads of a query lie side by side and share their keys, a tile of few queries has rows enough,
/// and few tiles of a causal chunk look at keys in vain.
constexpr std::int64_t kSharedQueries = 128;

std::int64_t round_up(std::int64_t n) { return (n + 7) / 8 * 8; }

bool is_aligned(const View& view, std::int64_t head) {
    return !view.present() ||
           (reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0 && head % 8 == 0);
}

}  // namespace

bool fits_products(const AttentionArgs& args) {
    return args.q.dtype == DType::Bf16 && is_aligned(args.q, args.head_dim) &&
           is_aligned(args.k, args.head_dim) && is_aligned(args.v, args.value_dim) &&
           is_aligned(args.block_k, args.head_dim) && is_aligned(args.block_v, args.value_dim);
}

void CudaBackend::attention_products(const AttentionArgs& args, std::int64_t n_tokens, View out) {
    const std::int64_t heads = args.n_heads / args.n_kv_heads;
    const bool together = args.n_kv_heads == 1 && args.q.stride == args.n_heads * args.head_dim &&
                          out.stride == args.n_heads * args.value_dim;
    const std::int64_t most_keys =
        round_up(n_tokens) + (args.block_k.present() ? round_up(n_tokens / args.block_tokens) : 0);
    const std::int64_t fitting = std::max<std::int64_t>(1, kTileBytes / (6 * heads * most_keys));
    const std::int64_t tile = std::min({n_tokens, fitting, together ? kSharedQueries : n_tokens});
    const Temporary<float> scores(*device_, tile * heads * most_keys);
    const Temporary<__nv_bfloat16> weights(*device_, tile * heads * most_keys);
    for (std::int64_t first = 0; first < n_tokens; first += tile) {
        const std::int64_t n = std::min(tile, n_tokens - first);
        SoftmaxArgs soft;
        soft.n_keys = args.causal ? first + n : n_tokens;
        soft.first_block_col = round_up(soft.n_keys);
        soft.n_blocks = args.block_k.present() ? (first + n) / args.block_tokens : 0;
        soft.block_tokens = args.block_tokens;
        soft.stride = soft.first_block_col + round_up(soft.n_blocks);
        soft.scores = scores.get();
        soft.weights = weights.get();
        soft.first_position = first;
        soft.n_queries = n;
        soft.n_heads = heads;
        soft.heads_together = together;
        soft.score = ScoreArgs(args, n_tokens);
        if (args.chosen.present()) {
            soft.chosen = static_cast<const float*>(args.chosen.data) + first * args.chosen.stride;
            soft.chosen_stride = args.chosen.stride;
            soft.chosen_tokens = args.chosen_tokens;
        }
        const std::int64_t rows = together ? n * heads : n;
        // Rows of one head, or of all side by side; heads apart are a batch.
        const auto rows_of = [&](const View& all, std::int64_t head, std::int64_t width) {
            const View part = all.row_range(first, n).col_range(head * width, heads * width);
            return together ? View{part.data, part.dtype, rows, width, width} : part.col_range(0, width);
        };
        const auto run = [&](const View& x, const void* w, std::int64_t w_stride, std::int64_t n_out,
                             bool by_inputs, const View& to, bool adds, std::int64_t x_step,
                             std::int64_t out_step) {
            Product product;
            product.x = x;
            product.w = w;
            product.n_in = x.cols;
            product.n_out = n_out;
            product.w_stride = w_stride;
            product.w_by_inputs = by_inputs;
            product.accumulate = adds;
            product.out = to;
            product.nominal_rows = rows;
            product.batch = together ? 1 : heads;
            product.x_step = x_step;
            product.out_step = out_step;
            products_.multiply(product);
        };
        for (std::int64_t kv = 0; kv < args.n_kv_heads; ++kv) {
            soft.first_head = kv * heads;
            const View q = rows_of(args.q, soft.first_head, args.head_dim);
            const View to = rows_of(out, soft.first_head, args.value_dim);
            const std::int64_t apart = n * soft.stride;  // heads in scores and weights
            const auto columns = [&](void* data, DType type, std::int64_t col, std::int64_t count) {
                return View{data, type, rows, soft.stride, soft.stride}.col_range(col, count);
            };
            const View key = args.k.col_range(kv * args.head_dim, args.head_dim);
            const View value = args.v.col_range(kv * args.value_dim, args.value_dim);
            run(q, key.data, key.stride, soft.n_keys, false,
                columns(scores.get(), DType::F32, 0, soft.n_keys), false, args.head_dim, apart);
            if (soft.n_blocks > 0) {
                const View block = args.block_k.col_range(kv * args.head_dim, args.head_dim);
                run(q, block.data, block.stride * args.block_tokens, soft.n_blocks, false,
                    columns(scores.get(), DType::F32, soft.first_block_col, soft.n_blocks), false,
                    args.head_dim, apart);
            }
            attention_softmax(soft, device_->compute());
            run(columns(weights.get(), DType::Bf16, 0, soft.n_keys), value.data, value.stride, args.value_dim,
                true, to, false, apart, args.value_dim);
            if (soft.n_blocks > 0) {
                const View block = args.block_v.col_range(kv * args.value_dim, args.value_dim);
                run(columns(weights.get(), DType::Bf16, soft.first_block_col, soft.n_blocks), block.data,
                    block.stride * args.block_tokens, args.value_dim, true, to, true, apart, args.value_dim);
            }
        }
    }
}

}  // namespace assay::backend::cuda
