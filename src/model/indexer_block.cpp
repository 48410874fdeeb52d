#include "core/error.h"
#include "model/blocks.h"

namespace assay::model {

IndexerSizes indexer_sizes(const Builder& b) {
    const Hyperparameters& hp = b.hp();
    return {hp.required("attention.indexer.head_count"), hp.required("attention.indexer.key_length"),
            hp.required("attention.indexer.top_k")};
}

Value choose_blocks(Builder& b, Value q, Value k, Value weights, std::int64_t block_tokens,
                    std::int64_t n_chosen, bool tail) {
    const std::int64_t n_blocks = (b.n_rows() + block_tokens - 1) / block_tokens;
    Select op;
    op.q = q;
    op.k = k;
    op.weights = weights;
    op.n_heads = q.cols / k.cols;
    op.block_tokens = block_tokens;
    op.n_chosen = n_chosen;
    op.tail = tail;
    return b.emit(std::move(op), n_blocks, "chosen");
}

Value indexed(Builder& b, Value h, Value query_latent, const IndexerBlock& block) {
    const IndexerSizes s = indexer_sizes(b);
    const Value q = b.product(
        query_latent, {b.linear("indexer.attn_q_b", query_latent.cols, s.n_heads * s.head_dim)}, "indexer q");
    const Value raw = b.product(h, {b.linear("indexer.attn_k", h.cols, s.head_dim)}, "indexer k");
    const Value weights = b.product(h, {b.linear("indexer.proj", h.cols, s.n_heads)}, "indexer weights");
    Norm norm = b.norm("indexer.k_norm", s.head_dim);
    norm.kind = NormKind::Layer;
    norm.eps = block.eps;
    if (!block.chooses || b.n_rows() <= s.n_chosen) return {};
    const Value k = b.normalise(raw, norm, "indexer k");
    const std::int64_t first = block.turns_last ? s.head_dim - block.rope.n_rot() : 0;
    b.emit_into(TurnHeads{.n_heads = s.n_heads, .rope = block.rope, .first = first}, q);
    b.emit_into(TurnHeads{.n_heads = 1, .rope = block.rope, .first = first}, k);
    return choose_blocks(b, q, k, weights, 1, s.n_chosen, false);
}

}  // namespace assay::model
