#include "perplexity/perplexity.h"

#include <cmath>

namespace assay::perplexity {

double Sums::running() const noexcept { return std::exp(nll / static_cast<double>(count)); }

std::optional<Estimate> Sums::finish() const noexcept {
    const auto n = static_cast<double>(count);
    const double mean = nll / n;
    const double variance = nll_squared / n - mean * mean;
    if (!(variance > 0)) return std::nullopt;
    const double perplexity = std::exp(mean);
    return Estimate{perplexity, perplexity * std::sqrt(variance / (n - 1))};
}

}  // namespace assay::perplexity
