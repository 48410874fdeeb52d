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
constexpr std::int64_t kQueryPiece = 32;

std::int64_t round_up(std::int64_t n) { return (n + 7) / 8 * 8; }

bool is_aligned(const View& view, std::int64_t head) {
    return !view.present() ||
           (reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.stride % 8 == 0 && head % 8 == 0);
}

/// A tile of queries of one chunk: scores by products with the keys, weights by a softmax, values by products
/// with the weights. Rows are those of one head, and heads are a batch; or of all heads side by side.
class QueryTile {
  public:
    QueryTile(Products& products, const AttentionArgs& args, const SoftmaxArgs& soft, View out)
        : products_(products),
          args_(args),
          soft_(soft),
          out_(out),
          rows_(soft.heads_together ? soft.n_queries * soft.n_heads : soft.n_queries) {}

    /// The query heads that share a head of keys and values.
    void run(std::int64_t kv_head, cudaStream_t stream) {
        soft_.first_head = kv_head * soft_.n_heads;
        const View q = rows_of(args_.q, args_.head_dim);
        const View out = rows_of(out_, args_.value_dim);
        for (const Keys& keys : {tokens(), blocks()})
            if (keys.count > 0) score(q, keys, kv_head);
        attention_softmax(soft_, stream);
        for (const Keys& keys : {tokens(), blocks()})
            if (keys.count > 0) mix(keys, kv_head, out);
    }

  private:
    /// Keys and values of tokens, or of blocks of them, and their columns in scores and weights.
    struct Keys {
        View k;
        View v;
        std::int64_t step = 1;  ///< rows of k and v from one to the next
        std::int64_t first_col = 0;
        std::int64_t count = 0;
    };
    Keys tokens() const { return {args_.k, args_.v, 1, 0, soft_.n_keys}; }
    Keys blocks() const {
        return {args_.block_k, args_.block_v, args_.block_tokens, soft_.first_block_col, soft_.n_blocks};
    }

    View rows_of(const View& all, std::int64_t width) const {
        const View part = all.row_range(soft_.first_position, soft_.n_queries)
                              .col_range(soft_.first_head * width, soft_.n_heads * width);
        return soft_.heads_together ? View{part.data, part.dtype, rows_, width, width}
                                    : part.col_range(0, width);
    }
    View columns(void* data, DType type, const Keys& keys) const {
        return View{data, type, rows_, soft_.stride, soft_.stride}.col_range(keys.first_col, keys.count);
    }
    Product product(const View& x, const View& w, std::int64_t w_step) const {
        Product product;
        product.x = x;
        product.w = w.data;
        product.n_in = x.cols;
        product.w_stride = w.stride * w_step;
        product.nominal_rows = rows_;
        product.batch = soft_.heads_together ? 1 : soft_.n_heads;
        return product;
    }
    /// From one head to the next in scores and weights.
    std::int64_t head_step() const { return soft_.n_queries * soft_.stride; }

    void score(const View& q, const Keys& keys, std::int64_t kv_head) {
        Product product =
            this->product(q, keys.k.col_range(kv_head * args_.head_dim, args_.head_dim), keys.step);
        product.n_out = keys.count;
        product.out = columns(soft_.scores, DType::F32, keys);
        product.x_step = args_.head_dim;
        product.out_step = head_step();
        products_.multiply(product);
    }
    void mix(const Keys& keys, std::int64_t kv_head, const View& out) {
        Product product =
            this->product(columns(soft_.weights, DType::Bf16, keys),
                          keys.v.col_range(kv_head * args_.value_dim, args_.value_dim), keys.step);
        product.n_out = args_.value_dim;
        product.w_by_inputs = true;
        product.accumulate = keys.first_col > 0;
        product.out = out;
        product.x_step = head_step();
        product.out_step = args_.value_dim;
        products_.multiply(product);
    }

    Products& products_;
    const AttentionArgs& args_;
    SoftmaxArgs soft_;
    const View out_;
    const std::int64_t rows_;
};

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
    const std::int64_t most = std::min({n_tokens, fitting, together ? kSharedQueries : n_tokens});
    // Whole pieces, so that the keys of a causal tile are a number that products are fast with.
    const std::int64_t tile = most < n_tokens && most > kQueryPiece ? most / kQueryPiece * kQueryPiece : most;
    const Temporary<float> scores(*device_, tile * heads * most_keys);
    const Temporary<__nv_bfloat16> weights(*device_, tile * heads * most_keys);
    SoftmaxArgs soft;
    soft.scores = scores.get();
    soft.weights = weights.get();
    soft.n_heads = heads;
    soft.heads_together = together;
    soft.block_tokens = args.block_tokens;
    soft.score = ScoreArgs(args, n_tokens);
    for (std::int64_t first = 0; first < n_tokens; first += tile) {
        soft.first_position = first;
        soft.n_queries = std::min(tile, n_tokens - first);
        const std::int64_t end = first + soft.n_queries;
        soft.n_keys = args.causal ? end : n_tokens;
        soft.first_block_col = round_up(soft.n_keys);
        soft.n_blocks = args.block_k.present() ? end / args.block_tokens : 0;
        soft.stride = soft.first_block_col + round_up(soft.n_blocks);
        if (args.chosen.present()) {
            soft.chosen = static_cast<const float*>(args.chosen.data) + first * args.chosen.stride;
            soft.chosen_stride = args.chosen.stride;
            soft.chosen_tokens = args.chosen_tokens;
        }
        QueryTile queries(products_, args, soft, out);
        for (std::int64_t kv = 0; kv < args.n_kv_heads; ++kv) queries.run(kv, device_->compute());
    }
}

}  // namespace assay::backend::cuda
