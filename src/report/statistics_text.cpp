#include "report/statistics_text.h"

#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "core/text.h"

namespace assay::report {

namespace {

constexpr std::string_view kTensorHeading =
    " Layer\t       Tensor\t          Σ(Act²)\t  Min\t            Max\t           μ\t   σ\t % Active\tN\t   "
    "Entropy\t"
    "E (norm)\tZD\t  CosSim";
constexpr std::size_t kTensorRule = 169;
constexpr std::string_view kLayerHeading = "  Layer\t     μΣ(Act²)\t      μZD\tμCosSim";
constexpr std::size_t kLayerRule = 48;

std::string rule(std::size_t n, char c) { return std::string(n, c) + '\n'; }

std::string tensor_row(const stats::TensorStats& t) {
    return fmt::format(
        "{:>5}\t{:<20}\t{:10.2f}\t{:8.4f}\t{:11.4f}\t{:6.2f}\t{:6.2f}\t{:8.2f}%\t{:6}\t{:10.4f}\t{:6.2f}%\t"
        "{:10.2f}%\t{:8.4f}\n",
        printable(t.parts.layer), printable(t.parts.tensor), t.energy, t.min, t.max, t.mean, t.stddev,
        100.0f * t.active, t.n, t.entropy, t.entropy_norm, 100.0f * t.zd, t.cos_sim);
}

double or_nan(const std::optional<double>& value) { return value.value_or(std::nan("")); }

void add_list(std::string& text, std::string_view heading, const std::vector<std::string>& names) {
    if (names.empty()) return;
    text += fmt::format("  {}: {}\n", heading, names.size());
    for (const std::string& name : names) text += fmt::format("    {}\n", printable(name));
}

}  // namespace

std::string statistics_text(std::string_view path, std::span<const stats::TensorStats> tensors,
                            std::span<const stats::LayerStats> layers) {
    std::string text =
        fmt::format("\nComputing statistics for {} ({} tensors)\n", printable(path), tensors.size());
    text += fmt::format("\n{}\n", kTensorHeading) + rule(kTensorRule, '=');
    for (const auto& tensor : tensors) text += tensor_row(tensor);
    text += fmt::format("\nComputing weighted average statistics per layer ({} layers)\n", layers.size());
    text += fmt::format("\n{}\n", kLayerHeading) + rule(kLayerRule, '=');
    for (const auto& layer : layers)
        text += fmt::format("{:>5}\t{:14.2f}\t{:10.4f}%\t{:6.4f}\n", layer.layer, layer.energy,
                            100.0f * layer.zd, layer.cos_sim);
    return text + '\n';
}

std::string activation_text(std::span<const stats::ActivationStats> tensors,
                            std::span<const stats::ActivationLayer> layers) {
    std::string text = fmt::format(
        "{:>5} | {:<40} | {:>10} | {:>10} | {:>9} | {:>9} | {:>7} | {:>12} | {:>8} | {:>9} | {:>8} | {:>8} | "
        "{:>11}\n",
        "Layer", "Tensor", "Mean", "StdDev", "Skew", "Kurtosis", "H Norm", "∑E[A²]", "Gain", "L2 Dist",
        "CosSim", "PCC", "Cov");
    text += rule(text.size() - 4, '-');  // four bytes of the heading are continuation bytes
    for (const auto& t : tensors)
        text += fmt::format(
            "{:>5} | {:<40} | {:10.4f} | {:10.4f} | {:9.2f} | {:9.2f} | {:6.2f}% | {:12.4f} | {:>8.4f} | "
            "{:>9.4f} | {:>8.4f} | {:>8.4f} | {:>11.6f}\n",
            printable(t.parts.layer), printable(t.parts.tensor), t.mean, t.stddev, t.skewness, t.kurtosis,
            t.entropy_norm, t.energy, or_nan(t.gain), or_nan(t.l2_distance), or_nan(t.cosine),
            or_nan(t.pearson), or_nan(t.covariance));
    if (layers.empty()) return text;
    text += fmt::format("\n{:>5} | {:>12} | {:>8} | {:>9} | {:>8} | {:>8} | {:>11}\n", "Layer", "∑E[A²]",
                        "Gain", "L2 Dist", "CosSim", "PCC", "Cov");
    text += rule(79, '-');
    for (const auto& l : layers)
        text += fmt::format("{:>5} | {:12.4f} | {:>8.4f} | {:>9.4f} | {:>8.4f} | {:>8.4f} | {:>11.6f}\n",
                            l.layer, l.energy, or_nan(l.gain), or_nan(l.l2_distance), or_nan(l.cosine),
                            or_nan(l.pearson), or_nan(l.covariance));
    return text;
}

std::string coverage_text(const stats::Coverage& coverage) {
    std::string text =
        fmt::format("Coverage: {}. {}\n", stats::to_string(coverage.verdict()), coverage.sentence());
    if (!coverage.experts.empty()) text += "  " + coverage.experts_line() + "\n";
    if (const std::string line = coverage.demand_line(); !line.empty()) text += "  " + line + "\n";
    add_list(text, "not collected", coverage.absent);
    add_list(text, "without data", coverage.empty);
    add_list(text, "few rows", coverage.thin);
    for (const auto& weight : coverage.experts)
        if (weight.n_missing + weight.n_starving != 0)
            text += fmt::format(
                "  {}: of {} experts {} without data, {} with fewer than {} rows (least {}, median {}, most "
                "{})\n",
                printable(weight.name), weight.counts.size(), weight.n_missing, weight.n_starving,
                stats::kStarvingRows, weight.least, weight.median, weight.most);
    return text;
}

}  // namespace assay::report
