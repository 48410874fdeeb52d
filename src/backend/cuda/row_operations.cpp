// Operations on rows that need no product: embedding, norms, heads, the residual stream.
#include "backend/cuda/kernels.h"
#include "backend/cuda/operations.h"
#include "backend/cuda/partial_memory.h"
#include "backend/shapes.h"

namespace assay::backend::cuda {

// Called by produce.cu, which does not see core/error.h.
void refuse_columns(std::int64_t cols, std::int64_t limit);

void refuse_columns(std::int64_t cols, std::int64_t limit) {
    throw_error(ErrorKind::Unsupported, "cuda", "a row of {} columns, at most {} are summed at a time", cols,
                limit);
}

void CudaBackend::embed(const WeightSource& table, std::span<const std::int32_t> tokens, float scale,
                        std::int64_t first, View out) {
    device_->use();
    check_embedding(table, tokens, first, out);
    if (tokens.empty()) return;
    loader_.decode_rows(table, tokens, scale * table.scale, first, out, device_->compute());
}

void CudaBackend::produce_rows(View x, const Norm& norm, Rows rows, const Produced& out) {
    const RowTiles tiles = tiles_of(rows, kProduceTile);
    const PartialMemory memory(*device_, out.sums, tiles, x.cols);
    produce(x, norm, tiles, out, memory.partials, device_->compute());
    finish_sums(memory.partials, tiles, rows.n_chunks, out.sums, device_->compute());
}

void CudaBackend::observe(View x, Rows rows, const Produced& out) {
    device_->use();
    produce_rows(x, {}, rows, out);
}

void CudaBackend::norm(View x, const Norm& norm, Rows rows, const Produced& out) {
    device_->use();
    check_norm(x, norm);
    if (norm.n_slices == 1 || norm.kind == NormKind::None) return produce_rows(x, norm, rows, out);
    const Temporary<float> memory(*device_, x.rows * x.cols);
    const View normed{memory.get(), DType::F32, x.rows, x.cols, x.cols};
    norm_slices(x, norm, normed, device_->compute());
    produce_rows(normed, {}, rows, out);
}

void CudaBackend::rotate_heads(View x, std::int64_t n_heads, const Norm& norm, bool norm_last,
                               const Rope& rope, Rows rows) {
    device_->use();
    check_heads(x, n_heads, norm, rope, rows);
    if (rope.n_rot > kMostTurned)
        throw_error(ErrorKind::Unsupported, "cuda", "{} components of a head turn, at most {} may",
                    rope.n_rot, kMostTurned);
    // One kernel normalises and turns what fits a warp; a longer head is read again for each.
    const bool apart = norm.kind != NormKind::None && (x.cols / n_heads > kMostTurned || rope.n_rot == 0);
    if (apart && !norm_last) norm_slices(x, norm, x, device_->compute());
    if (rope.n_rot > 0) {
        const Temporary<float2> table(*device_, rows.chunk_tokens * (rope.n_rot / 2));
        rotation_table(rope, rows.chunk_tokens, table.get(), device_->compute());
        rotate(x, n_heads, apart ? Norm{} : norm, norm_last, rope, table.get(),
               rows.table != nullptr ? table_of(rows)->positions(rows) : nullptr, rows.chunk_tokens,
               device_->compute());
    }
    if (apart && norm_last) norm_slices(x, norm, x, device_->compute());
}

void CudaBackend::copy_heads(View x, const HeadColumns& heads, View out) {
    device_->use();
    check_copy(x, heads, out);
    copy_columns(x, heads, out, device_->compute());
}

void CudaBackend::add(View x, const Norm& norm, float scale, View residual) {
    device_->use();
    check_norm(x, norm);
    if (norm.n_slices == 1 || norm.kind == NormKind::None)
        return add_rows(x, norm, scale, residual, device_->compute());
    const Temporary<float> memory(*device_, x.rows * x.cols);
    const View normed{memory.get(), DType::F32, x.rows, x.cols, x.cols};
    norm_slices(x, norm, normed, device_->compute());
    add_rows(normed, {}, scale, residual, device_->compute());
}

void CudaBackend::clear(View out) {
    device_->use();
    const auto element = static_cast<std::size_t>(size_of(out.dtype));
    check(cudaMemset2DAsync(out.data, static_cast<std::size_t>(out.stride) * element, 0,
                            static_cast<std::size_t>(out.cols) * element, static_cast<std::size_t>(out.rows),
                            device_->compute()),
          "clearing rows");
}

void CudaBackend::row_products(View a, View b, double* out) {
    device_->use();
    check_pair(a, b);
    row_dots(a, b, out, device_->compute());
}

}  // namespace assay::backend::cuda
