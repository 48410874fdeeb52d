// Which kernel computes attention, and the sums of what leaves.
#include <algorithm>

#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"
#include "backend/cuda/partial_memory.h"
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

AttentionArgs rows_of(const AttentionArgs& args, std::int64_t first, std::int64_t n) {
    AttentionArgs part = args;
    for (View* view : {&part.q, &part.k, &part.v, &part.block_k, &part.block_v, &part.chosen})
        if (view->present()) *view = view->row_range(first, n);
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
        const PartialMemory memory(*device_, out.sums, rows.n_chunks, groups(rows.chunk_tokens, kQueryTile),
                                   cols);
        attention_tiles(args, rows, out, memory.partials, device_->compute());
        finish_sums(memory.partials, rows.n_chunks, out.sums, device_->compute());
        return;
    }
    const bool by_products = dtype_ == DType::Bf16 && fits_products(args);
    if (dim > kMostQueryHead && !by_products)
        throw_error(ErrorKind::Unsupported, "cuda", "an attention head of {} components, at most {} fit", dim,
                    kMostQueryHead);
    const bool summed = out.sums.squares != nullptr || out.sums.plain != nullptr;
    const bool exact = out.plain.present() || (out.operand.present() && out.operand.dtype == DType::F32);
    if (!by_products && (!summed || exact)) {
        Produced left{out.operand, out.plain, {}};
        attention_queries(args, rows, left, device_->compute());
        Produced sums;
        sums.sums = out.sums;
        if (summed) produce_rows(out.plain.present() ? out.plain : out.operand, {}, rows, sums);
        return;
    }
    // Sums are taken before rounding: a few chunks at a time, in f32.
    const std::int64_t chunk_bytes = rows.chunk_tokens * cols * 4;
    const std::int64_t n_chunks = std::clamp<std::int64_t>(
        kPlainBytes / std::max<std::int64_t>(chunk_bytes, 1), 1, std::max<std::int64_t>(rows.n_chunks, 1));
    const Temporary<float> memory(*device_, n_chunks * rows.chunk_tokens * cols);
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; chunk += n_chunks) {
        const Rows some{std::min(n_chunks, rows.n_chunks - chunk), rows.chunk_tokens};
        const std::int64_t first = chunk * rows.chunk_tokens;
        const AttentionArgs part = rows_of(args, first, some.count());
        Produced plain;
        plain.plain = {memory.get(), DType::F32, some.count(), cols, cols};
        if (by_products)
            for (std::int64_t c = 0; c < some.n_chunks; ++c)
                attention_products(rows_of(part, c * some.chunk_tokens, some.chunk_tokens), some.chunk_tokens,
                                   plain.plain.row_range(c * some.chunk_tokens, some.chunk_tokens));
        else
            attention_queries(part, some, plain, device_->compute());
        produce_rows(plain.plain, {}, some, row_range(out, first, some.count(), chunk, cols));
    }
}

}  // namespace assay::backend::cuda
