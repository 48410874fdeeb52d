// Chains: the accumulator of a run of columns stays in the first-level cache from link to link.
#include <algorithm>
#include <array>
#include <cstring>

#include "backend/cpu/cpu_backend.h"
#include "backend/row_shapes.h"

namespace assay::backend::cpu {

namespace {

constexpr std::int64_t kRun = 1024;  ///< columns at a time: 4 kB of accumulator, 4 kB of operand

/// Columns [first, first + n) of a row's operand: where they lie, or spread into `memory`.
const float* operand_run(const Link& link, std::int64_t row, std::int64_t position, std::int64_t cols,
                         std::int64_t first, std::int64_t n, float* memory) {
    if (link.previous && position == 0) {
        std::fill_n(memory, n, 0.0f);
        return memory;
    }
    const float* from =
        link.vector != nullptr ? link.vector : link.view.row_f32(link.previous ? row - 1 : row);
    if (link.n == cols) return from + first;
    // Runs of the operand's columns (tiled), or of copies of one.
    const std::int64_t period = link.tiled ? link.n : cols / link.n;
    for (std::int64_t i = 0; i < n;) {
        const std::int64_t within = (first + i) % period;
        const std::int64_t count = std::min(period - within, n - i);
        if (link.tiled)
            std::copy_n(from + within, count, memory + i);
        else
            std::fill_n(memory + i, count, from[(first + i) / period]);
        i += count;
    }
    return memory;
}

bool has_operand(const Link& link) { return link.view.present() || link.vector != nullptr; }

}  // namespace

void CpuBackend::chain(View x, std::span<const Link> links, Rows rows, const Produced& out) {
    check_chain(x, links, rows, out);
    check_f32(x, "input of a chain", rows.count(), x.cols);
    for (const Link& link : links)
        if (link.view.present()) check_f32(link.view, "operand of a chain", rows.count(), link.n);
    produce(rows, x.cols, out, [&](std::int64_t row, std::int64_t position, float* result) {
        std::array<float, kRun> memory;
        for (std::int64_t first = 0; first < x.cols; first += kRun) {
            const std::int64_t n = std::min(kRun, x.cols - first);
            float* values = result + first;
            std::copy_n(x.row_f32(row) + first, n, values);
            for (const Link& link : links)
                kernels_.apply_link(link,
                                    has_operand(link)
                                        ? operand_run(link, row, position, x.cols, first, n, memory.data())
                                        : nullptr,
                                    n, values);
        }
    });
}

}  // namespace assay::backend::cpu
