// The shapes that products, heads, attention and experts take, checked once for all backends, so that all
// refuse alike.
#pragma once

#include <algorithm>

#include "backend/backend.h"
#include "core/error.h"

namespace assay::backend {

inline void check_rows(const View& view, const char* name, std::int64_t rows, std::int64_t cols) {
    if (view.rows != rows || view.cols != cols)
        throw_error(ErrorKind::Shape, name, "[{}, {}] was given, expected [{}, {}]", view.rows, view.cols,
                    rows, cols);
    if (view.rows > 1 && view.stride < view.cols)
        throw_error(ErrorKind::Shape, name, "rows of {} columns are {} apart", view.cols, view.stride);
}

/// Operand, plain form and sums of `cols` columns.
inline void check_produced(const Produced& out, Rows rows, std::int64_t cols) {
    if (out.operand.present()) check_rows(out.operand, "operand", rows.count(), cols);
    if (out.plain.present()) check_rows(out.plain, "plain form", rows.count(), cols);
}

/// Of row_products().
inline void check_pair(const View& a, const View& b) {
    check_rows(a, "compared rows", a.rows, a.cols);
    check_rows(b, "compared rows", a.rows, a.cols);
}

inline void check_product(const View& x, const Matrix& w, const View& out) {
    if (x.cols != w.n_in() || out.cols != w.n_out() || x.rows != out.rows)
        throw_error(ErrorKind::Shape, "product", "[{}, {}] with [{}, {}] into [{}, {}]", x.rows, x.cols,
                    w.n_out(), w.n_in(), out.rows, out.cols);
    check_rows(x, "operand of a product", x.rows, x.cols);
    check_rows(out, "result of a product", out.rows, out.cols);
}

inline void check_gated(const View& x, const Matrix& gate_up, Rows rows, const Produced& out) {
    if (x.cols != gate_up.n_in() || gate_up.n_out() % 2 != 0 || x.rows != rows.count())
        throw_error(ErrorKind::Shape, "gated product", "[{}, {}] with [{}, {}] for {} rows", x.rows, x.cols,
                    gate_up.n_out(), gate_up.n_in(), rows.count());
    check_rows(x, "operand of a gated product", x.rows, x.cols);
    check_produced(out, rows, gate_up.n_out() / 2);
}

inline void check_embedding(const WeightSource& table, std::span<const std::int32_t> tokens,
                            std::int64_t first, const View& out) {
    check_rows(out, "embedding", static_cast<std::int64_t>(tokens.size()), out.cols);
    if (first < 0 || out.cols > table.n_in - first)
        throw_error(ErrorKind::Shape, "embedding", "columns {} to {} of rows of {}", first, first + out.cols,
                    table.n_in);
    for (const std::int32_t token : tokens)
        if (token < 0 || token >= table.n_out)
            throw_error(ErrorKind::BadFile, "embedding", "token id {} has no row, the table has {}", token,
                        table.n_out);
}

inline void check_norm(const View& x, const Norm& norm) {
    check_rows(x, "input of a norm", x.rows, x.cols);
    if (norm.n_slices < 1 || x.cols % norm.n_slices != 0)
        throw_error(ErrorKind::Shape, "norm", "{} columns in {} slices", x.cols, norm.n_slices);
}

inline void check_heads(const View& x, std::int64_t n_heads, const Norm& norm, const Rope& rope, Rows rows) {
    check_rows(x, "heads", rows.count(), x.cols);
    if (n_heads < 1 || x.cols % n_heads != 0)
        throw_error(ErrorKind::Shape, "heads", "{} columns in {} heads", x.cols, n_heads);
    const std::int64_t head_dim = x.cols / n_heads;
    if (rope.n_rot < 0 || rope.n_rot % 2 != 0 || rope.first < 0 || rope.first > head_dim - rope.n_rot)
        throw_error(ErrorKind::Shape, "heads", "{} components from {} on cannot turn in a head of {}",
                    rope.n_rot, rope.first, head_dim);
    if (norm.kind != NormKind::None && norm.n_slices != n_heads)
        throw_error(ErrorKind::Shape, "heads", "{} heads are normalised in {} slices", n_heads,
                    norm.n_slices);
}

inline void check_copy(const View& x, const HeadColumns& h, const View& out) {
    const std::int64_t x_heads = h.spread ? 1 : h.n_heads;
    if (h.n_heads < 1 || x.cols % x_heads != 0 || out.cols % h.n_heads != 0 || x.rows != out.rows ||
        h.first < 0 || h.out_first < 0 || h.count < 0 || h.count > x.cols / x_heads - h.first ||
        h.count > out.cols / h.n_heads - h.out_first)
        throw_error(ErrorKind::Shape, "heads",
                    "{} columns from {} on of {} heads of [{}, {}] into those from {} on of [{}, {}]",
                    h.count, h.first, h.n_heads, x.rows, x.cols, h.out_first, out.rows, out.cols);
    check_rows(x, "heads", x.rows, x.cols);
    check_rows(out, "copied heads", out.rows, out.cols);
}

inline void check_attention(const AttentionArgs& a, Rows rows, const Produced& out) {
    if (a.n_kv_heads < 1 || a.n_heads < 1 || a.n_heads % a.n_kv_heads != 0)
        throw_error(ErrorKind::Shape, "attention", "{} heads over {} key heads", a.n_heads, a.n_kv_heads);
    if (a.window < 0) throw_error(ErrorKind::Shape, "attention", "a window of {}", a.window);
    check_rows(a.q, "queries", rows.count(), a.n_heads * a.head_dim);
    check_rows(a.k, "keys", rows.count(), a.n_kv_heads * a.head_dim);
    check_rows(a.v, "values", rows.count(), a.n_kv_heads * a.value_dim);
    check_produced(out, rows, a.n_heads * a.value_dim);
    if (!a.block_k.present() && !a.chosen.present()) return;
    if (!a.causal || a.soft_cap != 0 || a.slopes != nullptr)
        throw_error(ErrorKind::Unsupported, "attention",
                    "keys that are chosen, with a cap, slopes or later positions");
    std::int64_t run = a.chosen_tokens;
    if (a.block_k.present()) {
        if (a.block_tokens < 1)
            throw_error(ErrorKind::Shape, "attention", "blocks of {} tokens", a.block_tokens);
        check_rows(a.block_k, "keys of blocks", rows.count(), a.n_kv_heads * a.head_dim);
        check_rows(a.block_v, "values of blocks", rows.count(), a.n_kv_heads * a.value_dim);
        run = a.block_tokens;
    }
    if (a.chosen.present() && (a.chosen.rows != rows.count() || a.chosen.dtype != DType::F32 || run < 1 ||
                               a.chosen.cols * run < rows.chunk_tokens))
        throw_error(ErrorKind::Shape, "attention", "{} runs of {} tokens chosen from, for {} in a chunk",
                    a.chosen.cols, run, rows.chunk_tokens);
}

inline void check_routing(const View& logits, const RouteArgs& args, Rows rows) {
    check_rows(logits, "logits of a router", rows.count(), logits.cols);
    if (args.n_groups < 1 || logits.cols % args.n_groups != 0 || args.n_groups_used < 1 ||
        args.n_groups_used > args.n_groups)
        throw_error(ErrorKind::Shape, "router", "{} of {} groups of {} experts", args.n_groups_used,
                    args.n_groups, logits.cols);
    if (args.logits_per_expert < 1 || logits.cols % args.logits_per_expert != 0)
        throw_error(ErrorKind::Shape, "router", "{} logits, {} for each expert", logits.cols,
                    args.logits_per_expert);
    const std::int64_t eligible = logits.cols / args.n_groups * args.n_groups_used;
    if (args.n_used < 1 || args.n_used > eligible)
        throw_error(ErrorKind::Shape, "router", "{} experts are to be chosen of {}", args.n_used, eligible);
    if (args.chosen.empty()) return;
    const auto n_used = static_cast<std::size_t>(args.n_used);
    if (args.chosen.size() != static_cast<std::size_t>(rows.count()) * n_used)
        throw_error(ErrorKind::Shape, "router", "{} experts for {} rows of {}", args.chosen.size(),
                    rows.count(), args.n_used);
    for (std::size_t i = 0; i < args.chosen.size(); ++i) {
        const auto others = args.chosen.subspan(i / n_used * n_used, i % n_used);
        if (args.chosen[i] < 0 || args.chosen[i] >= logits.cols ||
            std::find(others.begin(), others.end(), args.chosen[i]) != others.end())
            throw_error(ErrorKind::BadFile, "router", "row {} goes to expert {} of {}, or twice to it",
                        i / n_used, args.chosen[i], logits.cols);
    }
}

inline void check_experts(const View& x, const ExpertBatch& batch, Rows rows, const View& out) {
    if (!batch.down.empty() && batch.down.size() != batch.gate_up.size())
        throw_error(ErrorKind::Shape, "experts", "{} with an input matrix, {} with one for the result",
                    batch.gate_up.size(), batch.down.size());
    check_rows(x, "input of experts", rows.count(), x.cols);
    check_rows(out, "result of experts", rows.count(), out.cols);
    for (std::size_t e = 0; e < batch.gate_up.size(); ++e) {
        const Matrix& up = *batch.gate_up[e];
        const Matrix& last = batch.down.empty() ? up : *batch.down[e];
        const std::int64_t inner = batch.down.empty() ? up.n_in() : last.n_in() * (batch.gated ? 2 : 1);
        if (up.n_in() != x.cols || last.n_out() != out.cols ||
            inner != (batch.down.empty() ? up.n_in() : up.n_out()))
            throw_error(ErrorKind::Shape, "experts", "[{}, {}] then [{}, {}] for {} columns into {}",
                        up.n_out(), up.n_in(), last.n_out(), last.n_in(), x.cols, out.cols);
    }
}

}  // namespace assay::backend
