#include "report/csv.h"

#include <fmt/format.h>
#include <map>
#include <optional>

#include "core/text.h"

namespace assay::report {

namespace {

std::string field(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

}  // namespace

std::string csv_field(std::string_view content) {
    const std::string text = printable(content);
    if (text.find_first_of(",\"") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + '"';
}

std::string statistics_csv(std::span<const stats::TensorStats> tensors,
                           std::span<const stats::ActivationStats> activations) {
    std::string text =
        "name,layer,tensor,energy,min,max,mean,stddev,active,n,entropy_bits,entropy_percent,zd,cos_sim";
    if (!activations.empty())
        text +=
            ",activation_of,activation_mean,activation_stddev,skewness,kurtosis,gain,l2_distance,cosine,"
            "pearson,covariance";
    text += '\n';
    std::map<std::string_view, const stats::ActivationStats*> by_name;
    for (const auto& a : activations) by_name[a.name] = &a;
    for (const auto& t : tensors) {
        text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}", csv_field(t.name),
                            csv_field(t.parts.layer), csv_field(t.parts.tensor), t.energy, t.min, t.max,
                            t.mean, t.stddev, t.active, t.n, t.entropy, t.entropy_norm, t.zd, t.cos_sim);
        if (const auto found = by_name.find(t.name); found != by_name.end()) {
            const stats::ActivationStats& a = *found->second;
            text += fmt::format(",{},{},{},{},{},{},{},{},{},{}", a.has_sums ? "x" : "x^2", a.mean, a.stddev,
                                a.skewness, a.kurtosis, field(a.gain), field(a.l2_distance), field(a.cosine),
                                field(a.pearson), field(a.covariance));
        } else if (!activations.empty()) {
            text += ",,,,,,,,,,";
        }
        text += '\n';
    }
    return text;
}

}  // namespace assay::report
