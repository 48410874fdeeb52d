#include "perplexity/sensitivity.h"

#include <cmath>

namespace assay::perplexity {

void PairedSums::add(double reference_loss, double loss, double kl) noexcept {
    const double d = loss - reference_loss;
    reference += reference_loss;
    reference_squared += reference_loss * reference_loss;
    difference += d;
    difference_squared += d * d;
    product += d * reference_loss;
    divergence += kl;
    divergence_squared += kl * kl;
    ++count;
}

void PairedSums::merge(const PairedSums& other) noexcept {
    reference += other.reference;
    reference_squared += other.reference_squared;
    difference += other.difference;
    difference_squared += other.difference_squared;
    product += other.product;
    divergence += other.divergence;
    divergence_squared += other.divergence_squared;
    count += other.count;
}

Measured PairedSums::reference_perplexity() const noexcept {
    const auto n = static_cast<double>(count);
    const double mean = reference / n;
    const double perplexity = std::exp(mean);
    return {perplexity, perplexity * error_of_mean(reference_squared / n - mean * mean, n)};
}

Measured PairedSums::perplexity_change() const noexcept {
    const auto n = static_cast<double>(count);
    const double mean_l = reference / n;
    const double mean_d = difference / n;
    const double change = std::exp(mean_l) * std::expm1(mean_d);
    const double of_variant = std::exp(mean_l + mean_d);
    const double var_d = difference_squared / n - mean_d * mean_d;
    const double var_l = reference_squared / n - mean_l * mean_l;
    const double cov = product / n - mean_d * mean_l;
    const double variance =
        of_variant * of_variant * var_d + 2 * of_variant * change * cov + change * change * var_l;
    return {change, error_of_mean(variance, n)};
}

Measured PairedSums::mean_divergence() const noexcept {
    return mean_of(divergence, divergence_squared, static_cast<double>(count));
}

}  // namespace assay::perplexity
