// From stored weights to panels in the layout of the library's products.
//
// The layouts that its fast products want are a transposition of words of four bytes, one f32 or a pair of
// bf16 each: we decode a few rows and transpose them while they are in the cache. The library's own reorder,
// several times slower, does the rest.
#include <algorithm>
#include <cstring>

#include "backend/cpu/gemm.h"
#include "backend/cpu/library.h"

namespace assay::backend::cpu {

namespace {

constexpr std::int64_t kColumnStep = 64;
constexpr std::int64_t kMinColumns = 128;
constexpr std::int64_t kMaxColumns = 512;
constexpr std::int64_t kPanelBytes = 1 << 20;  ///< aimed at: about what a core's second-level cache holds
constexpr std::int64_t kPanelAlignment = 4096;
/// A cache line of words; a multiple of all rows that lie together, so that no step begins within a group.
constexpr std::int64_t kRowsAtOnce = 16;

using Tag = dnnl::memory::format_tag;

/// The library's names of blocked layouts.
struct Blocked {
    std::int64_t width;
    Tag singles;
    Tag pairs;
};
constexpr Blocked kBlocked[]{{64, Tag::BA16a64b, Tag::BA16a64b2a},
                             {48, Tag::BA16a48b, Tag::BA16a48b2a},
                             {32, Tag::BA16a32b, Tag::BA16a32b2a},
                             {16, Tag::BA16a16b, Tag::BA16a16b2a}};

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

std::int64_t panel_columns(std::int64_t n_in, DType type) {
    const std::int64_t fitting = kPanelBytes / (n_in * size_of(type)) / kColumnStep * kColumnStep;
    return std::clamp(fitting, kMinColumns, kMaxColumns);
}

}  // namespace

Gemm::PanelLayout Gemm::layout(std::int64_t n_in, std::int64_t cols) const {
    const std::lock_guard lock(mutex_);
    if (const auto known = layouts_.find({n_in, cols}); known != layouts_.end()) return known->second;
    PanelLayout layout;
    const dnnl::memory::desc wanted = packed_layout(n_in, cols, multiplied_);
    layout.size_bytes = static_cast<std::int64_t>(wanted.get_size());
    const bool pairs = multiplied_ == DType::Bf16;
    const auto is = [&](Tag tag) {
        return wanted == dnnl::memory::desc({n_in, cols}, library_type(multiplied_), tag);
    };
    for (const Blocked& blocked : kBlocked)
        if (is(pairs ? blocked.pairs : blocked.singles)) {
            layout.words = round_up(n_in, pairs ? 32 : 16) / (pairs ? 2 : 1);
            layout.width = blocked.width;
        }
    if (!pairs && is(Tag::ab)) {
        layout.words = n_in;
        layout.width = cols;
    }
    layouts_.emplace(std::pair(n_in, cols), layout);
    return layout;
}

void Gemm::decode_rows(const WeightSource& source, std::int64_t first, std::int64_t count,
                       std::size_t out_stride, std::byte* out) const {
    thread_local std::vector<float> group;
    const quant::DecodeRows decode = quant::decoder(source.type->id, isa_);
    const std::uint64_t stride = quant::row_bytes(*source.type, static_cast<std::uint64_t>(source.n_in));
    const auto filled = static_cast<std::size_t>(source.n_in * size_of(multiplied_));
    const std::int64_t together = source.type->group_rows;
    const bool in_place = multiplied_ == DType::F32 && together == 1;
    group.resize(static_cast<std::size_t>(together * source.n_in));
    for (std::int64_t r = 0; r < count; ++r) {
        std::byte* to = out + static_cast<std::size_t>(r) * out_stride;
        float* row = in_place ? reinterpret_cast<float*>(to) : group.data() + r % together * source.n_in;
        if (r % together == 0)
            decode(source.bytes.data() + static_cast<std::uint64_t>(first + r) * stride,
                   static_cast<std::size_t>(source.n_in), row);
        if (source.scale != 1)
            for (std::int64_t i = 0; i < source.n_in; ++i) row[i] *= source.scale;
        if (multiplied_ == DType::Bf16)
            kernels_.to_bf16(row, source.n_in, reinterpret_cast<std::uint16_t*>(to));
        else if (!in_place)
            std::memcpy(to, row, filled);
        std::memset(to + filled, 0, out_stride - filled);
    }
}

void Gemm::pack_by_library(const WeightSource& source, std::int64_t first_row, std::int64_t cols,
                           std::byte* out) const {
    thread_local std::vector<std::byte> rows;
    const auto row_bytes = static_cast<std::size_t>(source.n_in * size_of(multiplied_));
    rows.resize(static_cast<std::size_t>(cols) * row_bytes);
    decode_rows(source, first_row, cols, row_bytes, rows.data());
    const dnnl::memory::desc plain({source.n_in, cols}, library_type(multiplied_),
                                   dnnl::memory::dims{1, source.n_in});
    dnnl::memory from(plain, library_engine(), rows.data());
    dnnl::memory to(packed_layout(source.n_in, cols, multiplied_), library_engine(), out);
    dnnl::stream stream(library_engine());
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
}

void Gemm::pack_multiplied(const WeightSource& source, std::int64_t first_row, std::int64_t cols,
                           std::byte* out) const {
    const PanelLayout wanted = layout(source.n_in, cols);
    if (wanted.width == 0) return pack_by_library(source, first_row, cols, out);
    thread_local std::vector<std::uint32_t> rows;
    rows.resize(static_cast<std::size_t>(kRowsAtOnce * wanted.words));
    const auto stride = static_cast<std::size_t>(wanted.words) * sizeof(std::uint32_t);
    auto* words = reinterpret_cast<std::uint32_t*>(out);
    std::int64_t n_rows = 0;
    for (std::int64_t col = 0; col < round_up(cols, wanted.width); col += n_rows) {
        const std::int64_t place = col % wanted.width;
        n_rows = std::min(kRowsAtOnce, wanted.width - place);
        const std::int64_t given = std::clamp<std::int64_t>(cols - col, 0, n_rows);
        decode_rows(source, first_row + col, given, stride, reinterpret_cast<std::byte*>(rows.data()));
        std::fill(rows.begin() + given * wanted.words, rows.begin() + n_rows * wanted.words, 0);
        kernels_.transpose(rows.data(), wanted.words, n_rows, wanted.words,
                           words + (col - place) * wanted.words + place, wanted.width);
    }
}

void Gemm::pack_panel(const WeightSource& source, std::int64_t first_row, std::int64_t cols,
                      std::byte* out) const {
    if (!widens()) return pack_multiplied(source, first_row, cols, out);
    thread_local std::vector<float> values;
    values.resize(static_cast<std::size_t>(layout(source.n_in, cols).size_bytes) / sizeof(float));
    pack_multiplied(source, first_row, cols, reinterpret_cast<std::byte*>(values.data()));
    kernels_.to_bf16(values.data(), std::ssize(values), reinterpret_cast<std::uint16_t*>(out));
}

std::shared_ptr<const PackedMatrix> Gemm::pack(std::span<const WeightSource> stacked,
                                               ThreadPool& pool) const {
    use_one_library_thread();
    const std::int64_t n_in = stacked.front().n_in;
    const std::int64_t step = panel_columns(n_in, multiplied_);
    std::vector<Panel> panels;
    std::vector<std::pair<const WeightSource*, std::int64_t>> origins;  ///< per panel: source, its first row
    std::int64_t n_out = 0;
    std::size_t bytes = 0;
    return translate_errors([&] {
        for (const WeightSource& source : stacked) {
            for (std::int64_t first = 0; first < source.n_out; first += step) {
                const std::int64_t cols = std::min(step, source.n_out - first);
                panels.push_back({n_out + first, cols, bytes});
                origins.emplace_back(&source, first);
                const std::int64_t values = layout(n_in, cols).size_bytes / size_of(multiplied_);
                bytes += static_cast<std::size_t>(round_up(values * size_of(operand_), kPanelAlignment));
            }
            n_out += source.n_out;
        }
        const auto matrix =
            std::make_shared<PackedMatrix>(operand_, n_in, n_out, std::move(panels), pages_.take(bytes));
        pool.run(static_cast<std::int64_t>(origins.size()), [&](std::int64_t task, int) {
            use_one_library_thread();
            const auto& [source, first_row] = origins[static_cast<std::size_t>(task)];
            const Panel& panel = matrix->panels()[static_cast<std::size_t>(task)];
            pack_panel(*source, first_row, panel.cols, matrix->panel_data(panel));
        });
        return std::shared_ptr<const PackedMatrix>(matrix);
    });
}

}  // namespace assay::backend::cpu
