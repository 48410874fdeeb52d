#include "report/csv.h"

#include <fmt/format.h>
#include <optional>

namespace assay::report {

namespace {

std::string field(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

}  // namespace

std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string quoted = "\"";
    for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + '"';
}

std::string statistics_csv(std::span<const stats::TensorStats> tensors) {
    std::string text =
        "name,layer,tensor,energy,min,max,mean,stddev,active,n,entropy_bits,entropy_percent,zd,cos_sim\n";
    for (const auto& t : tensors)
        text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(t.name),
                            csv_field(t.parts.layer), csv_field(t.parts.tensor), t.energy, t.min, t.max,
                            t.mean, t.stddev, t.active, t.n, t.entropy, t.entropy_norm, t.zd, t.cos_sim);
    return text;
}

std::string layers_csv(std::span<const stats::LayerStats> layers) {
    std::string text = "layer,energy,zd,cos_sim\n";
    for (const auto& layer : layers)
        text += fmt::format("{},{},{},{}\n", layer.layer, layer.energy, layer.zd, layer.cos_sim);
    return text;
}

std::string activation_csv(std::span<const stats::ActivationStats> tensors) {
    std::string text =
        "name,layer,tensor,of,mean,stddev,skewness,kurtosis,entropy_percent,energy,gain,l2_distance,pearson,"
        "covariance\n";
    for (const auto& t : tensors)
        text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(t.name),
                            csv_field(t.parts.layer), csv_field(t.parts.tensor), t.has_sums ? "x" : "x^2",
                            t.mean, t.stddev, t.skewness, t.kurtosis, t.entropy_norm, t.energy, field(t.gain),
                            field(t.l2_distance), field(t.pearson), field(t.covariance));
    return text;
}

std::string experts_csv(const stats::Coverage& coverage) {
    std::string text = "name,expert,rows\n";
    for (const auto& weight : coverage.experts)
        for (std::size_t e = 0; e < weight.counts.size(); ++e)
            text += fmt::format("{},{},{}\n", csv_field(weight.name), e, weight.counts[e]);
    return text;
}

}  // namespace assay::report
