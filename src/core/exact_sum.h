// Sums that come out the same in any order of their terms, since nothing is lost: beside a total in f64
// stands what rounding took from it.
#pragma once

#include <cstddef>
#include <span>

#include "core/host_device.h"

namespace assay {

/// Adds term + term_low to high + low (Knuth, TAOCP 2, 4.2.2, Theorem B; then Dekker 1971 for what is left).
/// Afterwards `high` is the sum rounded to f64, and `low` the rest.
///
/// Exact as long as the absolute values of all terms add up to less than 2^78 times a power of two that
/// divides every term (2^106 times, where Low is double): a rest is at most half a unit in the last place of
/// `high`, which Low then holds. The column sums of n chunks are f32, 24 bits each, so that is as long as
/// they are at most 2^54 / n times as large as the smallest that is not 0. Beyond, the last bits of `low`
/// depend on the order, at 2^-77 of the total.
template <typename Low>
ASSAY_HOST_DEVICE inline void add_exactly(double& high, Low& low, double term, Low term_low = 0) noexcept {
    const double sum = high + term;
    const double part = sum - high;
    const double lost = (high - (sum - part)) + (term - part);
    const double rest = lost + (static_cast<double>(low) + static_cast<double>(term_low));
    high = sum + rest;
    low = static_cast<Low>(rest - (high - sum));
}

/// A single sum.
struct ExactSum {
    ExactSum(double sum = 0, double rest = 0) noexcept : high(sum), low(rest) {}

    double high;
    double low;

    void add(const ExactSum& other) noexcept { add_exactly(high, low, other.high, other.low); }
};

/// Many sums side by side, both parts equally long.
struct ExactSums {
    std::span<double> high;
    std::span<float> low;

    bool empty() const noexcept { return high.empty(); }
    /// One term for each sum.
    template <typename Term> void add(std::span<const Term> terms) const noexcept {
        for (std::size_t i = 0; i < terms.size(); ++i)
            add_exactly(high[i], low[i], static_cast<double>(terms[i]));
    }
    void add(std::span<const double> other_high, std::span<const float> other_low) const noexcept {
        for (std::size_t i = 0; i < other_high.size(); ++i)
            add_exactly(high[i], low[i], other_high[i], other_low[i]);
    }
    ExactSums part(std::size_t first, std::size_t count) const {
        return {high.subspan(first, count), low.subspan(first, count)};
    }
};

}  // namespace assay
