// The shapes that row operations of mixers take, checked once for all backends. Each throws Error{Shape}.
#pragma once

#include <string_view>

#include "backend/shapes.h"

namespace assay::backend {

inline void check_f32(const View& view, const char* name, std::int64_t rows, std::int64_t cols) {
    check_rows(view, name, rows, cols);
    if (!view.present() || view.dtype != DType::F32)
        throw_error(ErrorKind::Shape, name, "f32 rows were expected");
}

inline void check_count(std::string_view operation, std::string_view name, std::int64_t n, std::int64_t least,
                        std::int64_t most) {
    if (n < least || n > most)
        throw_error(ErrorKind::Unsupported, operation, "{} {}, possible are {} to {}", n, name, least, most);
}

inline void check_slices(std::string_view operation, const View& x, std::int64_t n_slices) {
    check_count(operation, "columns", x.cols, 1, INT32_MAX);
    check_count(operation, "slices", n_slices, 1, x.cols);
    if (x.cols % n_slices != 0)
        throw_error(ErrorKind::Shape, operation, "{} columns in {} slices", x.cols, n_slices);
}

inline void check_convolve(const ConvolveArgs& args, Rows rows, const View& out) {
    check_count("convolve", "taps", args.kernel, 1, kMaxTaps);
    check_count("convolve", "tokens between taps", args.dilation, 1, INT32_MAX);
    check_f32(args.x, "input of a convolution", rows.count(), args.x.cols);
    check_f32(out, "result of a convolution", rows.count(), args.x.cols);
}

inline void check_scan(const ScanArgs& args, Rows rows, const View& out) {
    check_count("scan", "heads", args.n_heads, 1, INT32_MAX);
    check_count("scan", "key heads", args.n_key_heads, 1, args.n_heads);
    if (args.n_heads % args.n_key_heads != 0)
        throw_error(ErrorKind::Shape, "scan", "{} heads over {} key heads", args.n_heads, args.n_key_heads);
    check_count("scan", "components of a key", args.key_dim, 1, kMaxKeyDim);
    check_count("scan", "components of a value", args.value_dim, 1, INT32_MAX);
    const std::int64_t n = rows.count();
    const std::int64_t key_cols = args.n_heads * args.key_dim;
    check_f32(args.q, "q of a scan", n, args.n_key_heads * args.key_dim);
    check_f32(args.k, "k of a scan", n, args.n_key_heads * args.key_dim);
    check_f32(args.v, "v of a scan", n, args.n_heads * args.value_dim);
    check_f32(out, "result of a scan", n, args.n_heads * args.value_dim);
    if (args.decay.present())
        check_f32(args.decay, "decay of a scan", n,
                  args.decay.cols == args.n_heads ? args.n_heads : key_cols);
    else if (args.constant_decay == nullptr)
        throw_error(ErrorKind::Shape, "scan", "there is no decay");
    if (args.kind == ScanKind::Delta) check_f32(args.beta, "beta of a scan", n, args.n_heads);
    if (args.kind == ScanKind::Bonus && args.bonus == nullptr)
        throw_error(ErrorKind::Shape, "scan", "there is no bonus");
    if (args.kind == ScanKind::Rank1) {
        check_f32(args.a, "a of a scan", n, key_cols);
        check_f32(args.b, "b of a scan", n, key_cols);
    }
}

inline void check_selective_scan(const SelectiveScanArgs& args, Rows rows, const View& out) {
    const std::int64_t channels = args.x.cols;
    check_count("selective scan", "states", args.b.cols, 1, kMaxStates);
    check_f32(args.x, "input of a selective scan", rows.count(), channels);
    check_f32(args.dt, "dt of a selective scan", rows.count(), channels);
    check_f32(args.b, "b of a selective scan", rows.count(), args.b.cols);
    check_f32(args.c, "c of a selective scan", rows.count(), args.b.cols);
    check_f32(out, "result of a selective scan", rows.count(), channels);
}

inline void check_chain(const View& x, std::span<const Link> links, Rows rows, const Produced& out) {
    check_count("chain", "links", static_cast<std::int64_t>(links.size()), 0, kMaxLinks);
    check_count("chain", "columns", x.cols, 1, INT32_MAX);
    check_rows(x, "input of a chain", rows.count(), x.cols);
    check_produced(out, rows, x.cols);
    for (const Link& link : links) {
        if (link.kind != LinkKind::Times && link.kind != LinkKind::Plus && link.kind != LinkKind::Minus)
            continue;
        if (link.view.present() == (link.vector != nullptr))
            throw_error(ErrorKind::Shape, "chain", "a link has a view or a vector, not both nor neither");
        check_count("chain", "columns of an operand", link.n, 1, x.cols);
        if (x.cols % link.n != 0)
            throw_error(ErrorKind::Shape, "chain", "an operand of {} columns for {}", link.n, x.cols);
        if (link.view.present()) check_rows(link.view, "operand of a chain", rows.count(), link.n);
    }
}

inline void check_mix(const View& x, const View& coefficients, std::int64_t n_in, std::int64_t n_out,
                      const View& out) {
    check_count("mix", "streams", n_in, 1, INT32_MAX);
    check_count("mix", "streams", n_out, 1, kMaxStreams);
    const std::int64_t width = x.cols / n_in;
    check_f32(x, "input of a mix", x.rows, n_in * width);
    check_f32(coefficients, "coefficients of a mix", x.rows, n_out * n_in);
    check_f32(out, "result of a mix", x.rows, n_out * width);
}

inline void check_reduce(const View& x, std::int64_t n_slices, const View& out) {
    check_slices("reduce", x, n_slices);
    check_f32(x, "input of a reduction", x.rows, x.cols);
    check_f32(out, "result of a reduction", x.rows, n_slices);
}

inline void check_softmax(const View& x, std::int64_t n_slices, const View& out) {
    check_slices("softmax", x, n_slices);
    check_f32(x, "input of a softmax", x.rows, x.cols);
    check_f32(out, "result of a softmax", x.rows, x.cols);
}

inline void check_sinkhorn(const View& x, std::int64_t n, std::int64_t iterations, const View& out) {
    check_count("sinkhorn", "streams", n, 1, kMaxStreams);
    check_count("sinkhorn", "iterations", iterations, 1, INT32_MAX);
    check_f32(x, "input of a balance of streams", x.rows, n * n);
    check_f32(out, "result of a balance of streams", x.rows, n * n);
}

inline void check_pool(const PoolArgs& args, Rows rows, const View& out) {
    check_count("pool", "tokens of a block", args.block_tokens, 1, INT32_MAX);
    const std::int64_t cols = args.overlapping ? 2 * out.cols : out.cols;
    check_f32(out, "result of a pool", rows.count(), out.cols);
    check_f32(args.x, "x of a pool", rows.count(), cols);
    if (args.gate.present()) check_f32(args.gate, "gate of a pool", rows.count(), cols);
}

inline void check_select(const SelectArgs& args, Rows rows, const View& out) {
    check_count("select", "tokens of a block", args.block_tokens, 1, INT32_MAX);
    check_count("select", "chosen blocks", args.n_chosen, 1, INT32_MAX);
    check_count("select", "heads", args.n_heads, 1, INT32_MAX);
    const std::int64_t n = rows.count();
    check_f32(args.k, "k of a select", n, args.k.cols);
    check_f32(args.q, "q of a select", n, args.n_heads * args.k.cols);
    if (args.weights.present()) check_f32(args.weights, "weights of a select", n, args.n_heads);
    check_f32(out, "result of a select", n, out.cols);
    if (out.cols * args.block_tokens < rows.chunk_tokens)
        throw_error(ErrorKind::Shape, "select", "{} columns for blocks of {} tokens in a chunk of {}",
                    out.cols, args.block_tokens, rows.chunk_tokens);
}

}  // namespace assay::backend
