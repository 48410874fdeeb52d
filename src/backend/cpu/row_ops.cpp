// Operations on rows: embedding, norms, rotation, residual, similarity.
#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "core/error.h"
#include "quant/row_reader.h"

namespace assay::backend::cpu {

void CpuBackend::embed(const WeightSource& table, std::span<const std::int32_t> tokens, float scale,
                       View out) {
    const auto n_rows = static_cast<std::int64_t>(tokens.size());
    pool_.run((n_rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        quant::RowReader reader(*table.type, static_cast<std::uint64_t>(table.n_in), kernels_.isa);
        const std::int64_t end = std::min(n_rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) {
            const std::int32_t token = tokens[static_cast<std::size_t>(row)];
            if (token < 0 || token >= table.n_out)
                throw_error(ErrorKind::BadFile, "embedding", "token id {} has no row, the table has {}",
                            token, table.n_out);
            float* to = out.row_f32(row);
            reader.read(table.bytes.data(), static_cast<std::uint64_t>(token), to);
            const float factor = scale * table.scale;
            if (factor != 1)
                for (std::int64_t j = 0; j < table.n_in; ++j) to[j] *= factor;
        }
    });
}

void CpuBackend::observe(View x, Rows rows, const Produced& out) {
    produce(rows, x.cols, out, [&](std::int64_t row, float* result) {
        std::memcpy(result, x.row_f32(row), static_cast<std::size_t>(x.cols) * sizeof(float));
    });
}

void CpuBackend::norm(View x, const Norm& norm, Rows rows, const Produced& out) {
    produce(rows, x.cols, out, [&](std::int64_t row, float* result) {
        kernels_.norm_row(x.row_f32(row), x.cols, norm, result);
    });
}

void CpuBackend::rotate_heads(View x, std::int64_t n_heads, const Norm& norm, const Rope& rope, Rows rows) {
    const std::int64_t head_dim = x.cols / n_heads;
    const std::int64_t pairs = rope.n_rot / 2;
    const RopeTable* table =
        rope.n_rot == 0
            ? nullptr
            : &rope_tables_.get({rope.frequencies, static_cast<std::size_t>(pairs)}, rope.magnitude);
    if (table == nullptr && norm.kind == NormKind::None) return;
    pool_.run((x.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(x.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) {
            const std::int64_t position = row % rows.chunk_tokens;
            for (std::int64_t head = 0; head < n_heads; ++head) {
                float* values = x.row_f32(row) + head * head_dim;
                if (norm.kind != NormKind::None) kernels_.norm_row(values, head_dim, norm, values);
                if (table != nullptr)
                    kernels_.rotate(values, rope.n_rot, rope.halves, table->cosines.data() + position * pairs,
                                    table->sines.data() + position * pairs);
            }
        }
    });
}

void CpuBackend::add(View x, const Norm& norm, View residual) {
    pool_.run((x.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int thread) {
        auto* values =
            reinterpret_cast<float*>(scratch(thread, static_cast<std::size_t>(x.cols) * sizeof(float)));
        const std::int64_t end = std::min(x.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) {
            const float* from = x.row_f32(row);
            if (norm.kind != NormKind::None) {
                kernels_.norm_row(from, x.cols, norm, values);
                from = values;
            }
            kernels_.axpy(1.0f, from, x.cols, residual.row_f32(row));
        }
    });
}

void CpuBackend::row_products(View a, View b, double* out) {
    pool_.run((a.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(a.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) {
            const float* x = a.row_f32(row);
            const float* y = b.row_f32(row);
            double* sums = out + 3 * row;
            std::fill(sums, sums + 3, 0.0);
            for (std::int64_t j = 0; j < a.cols; ++j) {
                sums[0] += static_cast<double>(x[j] * x[j]);
                sums[1] += static_cast<double>(y[j] * y[j]);
                sums[2] += static_cast<double>(x[j] * y[j]);
            }
        }
    });
}

}  // namespace assay::backend::cpu
