#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "backend/cpu/landing.h"
#include "core/error.h"

namespace assay::backend::cpu {

namespace {

/// The row tile of products: one size for a run, since a row's bits may depend on it. Small chunks take small
/// tiles.
std::int64_t product_tile(std::int64_t chunk_tokens) {
    if (chunk_tokens <= 64) return 64;
    return chunk_tokens <= 128 ? 128 : 256;
}

/// Weights are prepared beside the computing, by this share of the threads. One thread decodes and packs
/// about as fast as a disk reads, so two are the least: where a wave is short, the others wait for weights
/// anyway.
constexpr int kThreadsPerPacker = 4;
constexpr int kLeastPackers = 2;

int packers_beside(int n_threads) {
    return std::min(n_threads, std::max(kLeastPackers, n_threads / kThreadsPerPacker));
}

std::byte* grown(std::unique_ptr<AlignedBuffer>& buffer, std::size_t bytes) {
    if (!buffer || buffer->size_bytes() < bytes) {
        buffer.reset();
        buffer = std::make_unique<AlignedBuffer>(bytes);
    }
    return buffer->data();
}

}  // namespace

const Kernels& kernels_for(Isa isa, DType operand) {
    const bool bf16 = operand == DType::Bf16;
    if (isa >= Isa::Amx && bf16) return kernels_amx();
    if (isa >= Isa::Avx512Bf16 && bf16) return kernels_avx512bf16();
    if (isa >= Isa::Avx512) return bf16 ? kernels_avx512_widened() : kernels_avx512();
    if (isa >= Isa::Avx2) return bf16 ? kernels_avx2_widened() : kernels_avx2();
    return bf16 ? kernels_baseline_widened() : kernels_baseline();
}

CpuBackend::CpuBackend(Isa isa, DType operand, std::int64_t chunk_tokens, ThreadPool& pool)
    : kernels_(kernels_for(isa, operand)),
      gemm_(operand, kernels_, isa),
      exact_gemm_(DType::F32, kernels_, isa),
      pool_(pool),
      packers_(packers_beside(pool.size())),
      tile_rows_(product_tile(chunk_tokens)),
      rope_tables_(chunk_tokens),
      scratch_(static_cast<std::size_t>(pool.size())) {}

std::string CpuBackend::arithmetic() const {
    const char* products = operand_dtype() == DType::F32     ? "f32 products"
                           : has_bf16_products(kernels_.isa) ? "bf16 products"
                                                             : "f32 products of bf16 operands";
    return fmt::format("cpu ({} kernels, {})", to_string(kernels_.isa), products);
}

std::string CpuBackend::description() const {
    std::string text = arithmetic();
    text.pop_back();  // the parenthesis
    return fmt::format("{}, {} thread{})", text, pool_.size(), pool_.size() == 1 ? "" : "s");
}

std::int64_t CpuBackend::preferred_rows() const noexcept {
    // Two tiles a thread keep all busy while a call's activations stay near the shared cache.
    return 2 * tile_rows_ * std::max(2, pool_.size());
}

BufferPtr CpuBackend::allocate(std::size_t bytes) { return std::make_unique<AlignedBuffer>(bytes); }

BufferPtr CpuBackend::upload(std::span<const float> values) {
    auto buffer = std::make_unique<AlignedBuffer>(values.size_bytes());
    if (!values.empty()) std::memcpy(buffer->data(), values.data(), values.size_bytes());
    return buffer;
}

void CpuBackend::download(const void* from, std::span<std::byte> to) {
    std::memcpy(to.data(), from, to.size());
}

void CpuBackend::replace(void* to, std::span<const std::byte> from) {
    std::memcpy(to, from.data(), from.size());
}

LandingPtr CpuBackend::make_landing() { return std::make_unique<CpuLanding>(); }

MatrixPtr CpuBackend::prepare(std::span<const WeightSource> stacked, DType operand) {
    const std::lock_guard lock(packing_);
    return gemm_for(operand).pack(stacked, packers_);
}

std::byte* CpuBackend::scratch(int thread, std::size_t bytes) {
    return grown(scratch_[static_cast<std::size_t>(thread)], bytes);
}

std::byte* CpuBackend::gathered(std::size_t bytes) { return grown(gathered_, bytes); }

std::vector<CpuBackend::RowTile> CpuBackend::row_tiles(Rows rows, std::int64_t tile_rows) {
    std::vector<RowTile> tiles;
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
        for (std::int64_t first = 0; first < rows.tokens(chunk); first += tile_rows)
            tiles.push_back({chunk, rows.first_row(chunk) + first,
                             std::min(tile_rows, rows.tokens(chunk) - first), first});
    return tiles;
}

void CpuBackend::finish_row(const float* values, std::int64_t row, std::int64_t first_col, std::int64_t cols,
                            const Produced& out, const Sums& sums, float weight) const {
    kernels_.add_sums(values, cols, weight, sums.squares, sums.plain);
    if (out.plain.present()) {
        auto* to = reinterpret_cast<float*>(out.plain.at(row, first_col));
        if (to != values) std::memcpy(to, values, static_cast<std::size_t>(cols) * sizeof(float));
    }
    if (!out.operand.present()) return;
    if (out.operand.dtype == DType::Bf16)
        kernels_.to_bf16(values, cols, reinterpret_cast<std::uint16_t*>(out.operand.at(row, first_col)));
    else if (std::byte* to = out.operand.at(row, first_col); to != reinterpret_cast<const std::byte*>(values))
        std::memcpy(to, values, static_cast<std::size_t>(cols) * sizeof(float));
}

CpuBackend::TileSums::TileSums(const Sums& wanted, std::size_t n_tiles, std::int64_t cols)
    : cols_(cols),
      squares_(wanted.squares != nullptr ? n_tiles * static_cast<std::size_t>(cols) : 0),
      plain_(wanted.plain != nullptr ? n_tiles * static_cast<std::size_t>(cols) : 0) {}

Sums CpuBackend::TileSums::at(std::int64_t tile, std::int64_t first_col) noexcept {
    const std::int64_t place = tile * cols_ + first_col;
    return {squares_.empty() ? nullptr : squares_.data() + place,
            plain_.empty() ? nullptr : plain_.data() + place};
}

void CpuBackend::TileSums::combine(std::span<const RowTile> tiles, std::int64_t n_chunks,
                                   const Sums& wanted) const {
    const auto add = [&](const std::vector<float>& tile_sums, float* sums) {
        if (sums == nullptr) return;
        std::vector<double> total(static_cast<std::size_t>(cols_));
        std::size_t tile = 0;
        for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
            std::fill(total.begin(), total.end(), 0.0);
            for (; tile < tiles.size() && tiles[tile].chunk == chunk; ++tile) {
                const float* part = tile_sums.data() + static_cast<std::int64_t>(tile) * cols_;
                for (std::size_t j = 0; j < total.size(); ++j) total[j] += static_cast<double>(part[j]);
            }
            for (std::size_t j = 0; j < total.size(); ++j)
                sums[chunk * cols_ + static_cast<std::int64_t>(j)] = static_cast<float>(total[j]);
        }
    };
    add(squares_, wanted.squares);
    add(plain_, wanted.plain);
}

void CpuBackend::produce(Rows rows, std::int64_t cols, const Produced& out,
                         const std::function<void(std::int64_t, std::int64_t, float*)>& make_row) {
    const std::span<const float> weights = rows.weights();
    const std::vector<RowTile> tiles = row_tiles(rows, kRowTile);
    TileSums sums(out.sums, tiles.size(), cols);
    pool_.run(static_cast<std::int64_t>(tiles.size()), [&](std::int64_t task, int thread) {
        const RowTile& tile = tiles[static_cast<std::size_t>(task)];
        auto* values =
            reinterpret_cast<float*>(scratch(thread, static_cast<std::size_t>(cols) * sizeof(float)));
        for (std::int64_t i = 0; i < tile.n_rows; ++i) {
            const std::int64_t row = tile.first_row + i;
            make_row(row, tile.first_position + i, values);
            finish_row(values, row, 0, cols, out, sums.at(task), weight_of(weights, row));
        }
    });
    sums.combine(tiles, rows.n_chunks, out.sums);
}

}  // namespace assay::backend::cpu
