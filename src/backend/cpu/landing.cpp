#include "backend/cpu/landing.h"

#include <algorithm>
#include <bit>

namespace assay::backend::cpu {

namespace {

/// Totals of so many columns stay in the first-level cache while the chunks pass by.
constexpr std::size_t kBlockColumns = 1024;

/// Whether all are finite, without a branch for each.
bool all_finite(std::span<const float> values) {
    constexpr std::uint32_t kExponent = 0x7f800000;
    bool finite = true;
    for (const float value : values) finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
    return finite;
}

/// Adds values [n_chunks, columns] to the totals; returns the first chunk that is not finite, or n_chunks.
std::int64_t add(const float* values, std::int64_t n_chunks, const ExactSums& totals) {
    std::int64_t bad = n_chunks;
    const std::size_t columns = totals.high.size();
    for (std::size_t first = 0; first < columns; first += kBlockColumns) {
        const std::size_t count = std::min(kBlockColumns, columns - first);
        for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk) {
            const std::span from(values + static_cast<std::size_t>(chunk) * columns + first, count);
            if (!all_finite(from)) bad = std::min(bad, chunk);
            totals.part(first, count).add(from);
        }
    }
    return bad;
}

}  // namespace

std::optional<std::int64_t> CpuLanding::add_chunks(const Sums& sums, std::int64_t n_chunks,
                                                   const Totals& totals) {
    const auto alone =
        totals.guard != nullptr ? std::unique_lock(*totals.guard) : std::unique_lock<std::mutex>();
    const std::int64_t bad =
        std::min(add(sums.squares, n_chunks, totals.squares), add(sums.plain, n_chunks, totals.plain));
    return bad < n_chunks ? std::optional(bad) : std::nullopt;
}

}  // namespace assay::backend::cpu
