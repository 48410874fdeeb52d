// How surprised the model is by the text: sums of negative log-likelihoods and what follows from them.
// Formulas and widths as llama-imatrix has them, so that the printed digits agree.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace assay::perplexity {

/// The first position of a chunk that counts; positions first..n_ctx-2 predict their successor.
constexpr std::uint32_t first_position(std::uint32_t n_ctx) noexcept { return n_ctx / 2; }

/// -log softmax(logits)[target]: maximum subtracted and exponentials in F32, their sum and the logarithm in
/// double. Throws Error{Shape} when `target` is outside the vocabulary.
double negative_log_likelihood(std::span<const float> logits, std::uint32_t target);

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
