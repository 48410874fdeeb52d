// Scans: a task carries a few columns of the state of one head through its chunk. Tasks of a head follow one
// another, so that its keys are read from a shared cache.
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/row_shapes.h"

namespace assay::backend::cpu {

namespace {

TokenRows rows_from(const View& view, std::int64_t row, std::int64_t col) {
    return view.present() ? TokenRows{view.row_f32(row) + col, view.stride} : TokenRows{};
}

std::int64_t blocks_of(std::int64_t cols) { return (cols + kScanColumns - 1) / kScanColumns; }

std::size_t state_bytes(std::int64_t rows) {
    return static_cast<std::size_t>(rows * kScanColumns) * sizeof(float);
}

}  // namespace

void CpuBackend::scan(const ScanArgs& args, Rows rows, View out) {
    check_scan(args, rows, out);
    const std::int64_t n_blocks = blocks_of(args.value_dim);
    const bool by_key = args.decay.present() && args.decay.cols != args.n_heads;
    pool_.run(rows.n_chunks * args.n_heads * n_blocks, [&](std::int64_t task, int thread) {
        const std::int64_t first = task % n_blocks * kScanColumns;
        const std::int64_t head = task / n_blocks % args.n_heads;
        const std::int64_t chunk = task / n_blocks / args.n_heads;
        const std::int64_t row = rows.first_row(chunk);
        const std::int64_t key_head =
            args.interleaved ? head % args.n_key_heads : head / (args.n_heads / args.n_key_heads);
        const std::int64_t value_col = head * args.value_dim + first;
        ScanBlock block;
        block.kind = args.kind;
        block.n_tokens = rows.tokens(chunk);
        block.key_dim = args.key_dim;
        block.n_cols = std::min(kScanColumns, args.value_dim - first);
        block.q = rows_from(args.q, row, key_head * args.key_dim);
        block.k = rows_from(args.k, row, key_head * args.key_dim);
        block.v = rows_from(args.v, row, value_col);
        block.decay = args.decay.present() ? rows_from(args.decay, row, by_key ? head * args.key_dim : head)
                                           : TokenRows{args.constant_decay + head, 0};
        block.decay_by_key = by_key;
        block.beta = rows_from(args.beta, row, head);
        block.a = rows_from(args.a, row, head * args.key_dim);
        block.b = rows_from(args.b, row, head * args.key_dim);
        if (args.bonus != nullptr) block.bonus = args.bonus + head * args.key_dim;
        block.scale = args.scale;
        block.state = reinterpret_cast<float*>(scratch(thread, state_bytes(args.key_dim)));
        block.out = out.row_f32(row) + value_col;
        block.out_stride = out.stride;
        kernels_.scan(block);
    });
}

void CpuBackend::selective_scan(const SelectiveScanArgs& args, Rows rows, View out) {
    check_selective_scan(args, rows, out);
    const std::int64_t channels = args.x.cols;
    const std::int64_t n_state = args.b.cols;
    const std::int64_t n_blocks = blocks_of(channels);
    pool_.run(rows.n_chunks * n_blocks, [&](std::int64_t task, int thread) {
        const std::int64_t first = task % n_blocks * kScanColumns;
        const std::int64_t chunk = task / n_blocks;
        const std::int64_t row = rows.first_row(chunk);
        SelectiveBlock block;
        block.n_tokens = rows.tokens(chunk);
        block.n_state = n_state;
        block.n_channels = std::min(kScanColumns, channels - first);
        block.x = rows_from(args.x, row, first);
        block.dt = rows_from(args.dt, row, first);
        block.b = rows_from(args.b, row, 0);
        block.c = rows_from(args.c, row, 0);
        block.state = reinterpret_cast<float*>(scratch(thread, 2 * state_bytes(n_state)));
        float* a = block.state + n_state * kScanColumns;
        for (std::int64_t n = 0; n < n_state; ++n)
            for (std::int64_t c = 0; c < kScanColumns; ++c)
                a[n * kScanColumns + c] = c < block.n_channels ? args.a[(first + c) * n_state + n] : 0.0f;
        block.a = a;
        block.d = args.d + first;
        block.out = out.row_f32(row) + first;
        block.out_stride = out.stride;
        kernels_.selective_scan(block);
    });
}

}  // namespace assay::backend::cpu
