// Which kernel computes attention, and the sums of what leaves.
#include <algorithm>

#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"
#include "backend/cuda/partial_memory.h"
#include "backend/row_ranges.h"
#include "backend/shapes.h"

namespace assay::backend::cuda {

namespace {

constexpr std::int64_t kPlainBytes = std::int64_t{256} << 20;

Produced row_range(const Produced& out, std::int64_t first, std::int64_t n, std::int64_t first_chunk,
                   std::int64_t cols) {
    Produced part;
    if (out.operand.present()) part.operand = out.operand.row_range(first, n);
    if (out.plain.present()) part.plain = out.plain.row_range(first, n);
    if (out.sums.squares != nullptr) part.sums.squares = out.sums.squares + first_chunk * cols;
    if (out.sums.plain != nullptr) part.sums.plain = out.sums.plain + first_chunk * cols;
    return part;
}

}  // namespace

void CudaBackend::attention(const AttentionArgs& args, Rows rows, const Produced& out) {
    device_->use();
    check_attention(args, rows, out);
    const std::int64_t cols = args.n_heads * args.value_dim;
    const std::int64_t dim = std::max(args.head_dim, args.value_dim);
    const bool chosen = args.block_k.present() || args.chosen.present();
    if (dtype_ == DType::Bf16 && dim <= kMostTiledHead && !chosen) {
        const RowTiles tiles = tiles_of(rows, kQueryTile);
        const PartialMemory memory(*device_, out.sums, tiles, cols);
        attention_tiles(args, tiles, out, memory.partials, device_->compute());
        finish_sums(memory.partials, tiles, rows.n_chunks, out.sums, device_->compute());
        return;
    }
    const bool by_products = dtype_ == DType::Bf16 && fits_products(args);
    if (dim > kMostQueryHead && !by_products)
        throw_error(ErrorKind::Unsupported, "cuda", "an attention head of {} components, at most {} fit", dim,
                    kMostQueryHead);
    const bool summed = out.sums.squares != nullptr || out.sums.plain != nullptr;
    const bool exact = out.plain.present() || (out.operand.present() && out.operand.dtype == DType::F32);
    if (!by_products && (!summed || exact)) {
        each_equal_run(rows, [&](std::int64_t first, Rows some) {
            const std::int64_t n = some.count();
            Produced left = row_range(out, first, n, 0, cols);
            left.sums = {};
            attention_queries(rows_of(args, first, n), some, left, device_->compute());
        });
        Produced sums;
        sums.sums = out.sums;
        if (summed) produce_rows(out.plain.present() ? out.plain : out.operand, {}, rows, sums);
        return;
    }
    // Sums are taken before rounding: a few chunks at a time, in f32.
    const std::int64_t most_rows = std::max(
        rows.chunk_tokens, std::min(rows.count(), kPlainBytes / std::max<std::int64_t>(4 * cols, 1)));
    const Temporary<float> memory(*device_, most_rows * cols);
    for (std::int64_t chunk = 0; chunk < rows.n_chunks;) {
        const std::int64_t first = rows.first_row(chunk);
        std::int64_t end = chunk + 1;
        while (end < rows.n_chunks && rows.first_row(end + 1) - first <= most_rows) ++end;
        const Rows some = rows.range(chunk, end - chunk);
        const AttentionArgs part = rows_of(args, first, some.count());
        Produced plain;
        plain.plain = {memory.get(), DType::F32, some.count(), cols, cols};
        each_equal_run(some, [&](std::int64_t begin, Rows equal) {
            if (!by_products)
                return attention_queries(rows_of(part, begin, equal.count()), equal,
                                         row_range(plain, begin, equal.count(), 0, cols), device_->compute());
            for (std::int64_t row = begin; row < begin + equal.count(); row += equal.chunk_tokens)
                attention_products(rows_of(part, row, equal.chunk_tokens), equal.chunk_tokens,
                                   plain.plain.row_range(row, equal.chunk_tokens));
        });
        produce_rows(plain.plain, {}, some, row_range(out, first, some.count(), chunk, cols));
        chunk = end;
    }
}

}  // namespace assay::backend::cuda
