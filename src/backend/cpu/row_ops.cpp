// Operations on rows: embedding, norms, rotation, residual, similarity.
#include <algorithm>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/shapes.h"
#include "quant/row_reader.h"

namespace assay::backend::cpu {

void CpuBackend::embed(const WeightSource& table, std::span<const std::int32_t> tokens, float scale,
                       std::int64_t first, View out) {
    check_embedding(table, tokens, first, out);
    const auto n_in = static_cast<std::size_t>(table.n_in);
    const bool whole = out.cols == table.n_in;
    const auto n_rows = static_cast<std::int64_t>(tokens.size());
    pool_.run((n_rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int thread) {
        quant::RowReader reader(*table.type, n_in, kernels_.isa);
        const std::int64_t end = std::min(n_rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) {
            const auto token = static_cast<std::uint64_t>(tokens[static_cast<std::size_t>(row)]);
            float* to = out.row_f32(row);
            float* decoded = whole ? to : reinterpret_cast<float*>(scratch(thread, n_in * sizeof(float)));
            reader.read(table.bytes.data(), token, decoded);
            if (!whole) std::memcpy(to, decoded + first, static_cast<std::size_t>(out.cols) * sizeof(float));
            const float factor = scale * table.scale;
            if (factor != 1)
                for (std::int64_t j = 0; j < out.cols; ++j) to[j] *= factor;
        }
    });
}

void CpuBackend::observe(View x, Rows rows, const Produced& out) {
    produce(rows, x.cols, out, [&](std::int64_t row, std::int64_t, float* result) {
        std::memcpy(result, x.row_f32(row), static_cast<std::size_t>(x.cols) * sizeof(float));
    });
}

void CpuBackend::norm(View x, const Norm& norm, Rows rows, const Produced& out) {
    check_norm(x, norm);
    produce(rows, x.cols, out, [&](std::int64_t row, std::int64_t, float* result) {
        kernels_.norm_row(x.row_f32(row), x.cols, norm, result);
    });
}

void CpuBackend::rotate_heads(View x, std::int64_t n_heads, const Norm& norm, bool norm_last,
                              const Rope& rope, Rows rows) {
    check_heads(x, n_heads, norm, rope, rows);
    const std::int64_t head_dim = x.cols / n_heads;
    const std::int64_t pairs = rope.n_rot / 2;
    const RopeTable* table =
        rope.n_rot == 0
            ? nullptr
            : &rope_tables_.get({rope.frequencies, static_cast<std::size_t>(pairs)}, rope.magnitude);
    if (table == nullptr && norm.kind == NormKind::None) return;
    const auto normalise = [&](float* row) {
        if (norm.kind != NormKind::None) kernels_.norm_row(row, x.cols, norm, row);
    };
    const std::vector<RowTile> tiles = row_tiles(rows, kRowTile);
    pool_.run(std::ssize(tiles), [&](std::int64_t task, int) {
        const RowTile& tile = tiles[static_cast<std::size_t>(task)];
        for (std::int64_t i = 0; i < tile.n_rows; ++i) {
            float* values = x.row_f32(tile.first_row + i);
            if (!norm_last) normalise(values);
            if (table != nullptr) {
                const std::int64_t at = (tile.first_position + i) * pairs;
                for (std::int64_t head = 0; head < n_heads; ++head)
                    kernels_.rotate(values + head * head_dim, rope, table->cosines.data() + at,
                                    table->sines.data() + at);
            }
            if (norm_last) normalise(values);
        }
    });
}

void CpuBackend::copy_heads(View x, const HeadColumns& heads, View out) {
    check_copy(x, heads, out);
    const std::int64_t width = heads.spread ? 0 : x.cols / heads.n_heads;
    const std::int64_t out_width = out.cols / heads.n_heads;
    if (x.dtype != out.dtype)
        throw_error(ErrorKind::Unsupported, "cpu", "heads of one type are copied into another");
    pool_.run((x.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(x.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row)
            for (std::int64_t head = 0; head < heads.n_heads; ++head)
                std::memcpy(out.at(row, head * out_width + heads.out_first),
                            x.at(row, head * width + heads.first),
                            static_cast<std::size_t>(heads.count * size_of(x.dtype)));
    });
}

void CpuBackend::clear(View out) {
    pool_.run((out.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(out.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row)
            std::memset(out.at(row, 0), 0, static_cast<std::size_t>(out.cols * size_of(out.dtype)));
    });
}

void CpuBackend::add(View x, const Norm& norm, float scale, View residual) {
    check_norm(x, norm);
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
            kernels_.axpy(scale, from, x.cols, residual.row_f32(row));
        }
    });
}

void CpuBackend::row_products(View a, View b, double* out) {
    check_pair(a, b);
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
