// How surprised the model is by the text: sums of negative log-likelihoods and what follows from them.
// Formulas and widths as llama-imatrix has them, so that the printed digits agree.
#pragma once

#include <cstdint>
#include <optional>

namespace assay::perplexity {

struct Estimate {
    double perplexity = 0;
    double error = 0;  ///< one standard error
};

/// Everything that the estimate needs. Chunks, files and ranks add theirs in a fixed order.
struct Sums {
    double nll = 0;
    double nll_squared = 0;
    std::uint64_t count = 0;

    void add(double token_nll) noexcept {
        nll += token_nll;
        nll_squared += token_nll * token_nll;
        ++count;
    }
    void merge(const Sums& other) noexcept {
        nll += other.nll;
        nll_squared += other.nll_squared;
        count += other.count;
    }
    /// exp(nll / count), the figure printed after each chunk; NaN without data.
    double running() const noexcept;
    /// Nothing when there is no data or the variance is not positive ("Unexpected negative standard
    /// deviation of log(prob)").
    std::optional<Estimate> finish() const noexcept;
};

}  // namespace assay::perplexity
