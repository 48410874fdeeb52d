#include "perplexity/perplexity.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace assay::perplexity {

double negative_log_likelihood(std::span<const float> logits, std::uint32_t target) {
    if (target >= logits.size())
        throw_error(ErrorKind::Shape, "perplexity", "token {} is outside the vocabulary of {}", target,
                    logits.size());
    const float most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit - most);
    return std::log(sum) - static_cast<double>(logits[target] - most);
}

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
