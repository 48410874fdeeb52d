#include "report/sensitivity_text.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/text.h"
#include "report/csv.h"
#include "report/json_values.h"

namespace assay::report {

using perplexity::UnitSensitivity;

std::string sensitivity_text(const perplexity::Sensitivity& sensitivity) {
    std::string text =
        fmt::format("perplexity {:.4f} +/- {:.4f} over {} positions of {} chunks; rounded by {}\n\n",
                    sensitivity.perplexity.value, sensitivity.perplexity.error, sensitivity.positions,
                    sensitivity.n_chunks, sensitivity.by);
    std::size_t width = 4;
    std::vector<UnitSensitivity> units = sensitivity.units;
    for (UnitSensitivity& unit : units) {
        unit.unit = printable(unit.unit);
        width = std::max(width, unit.unit.size());
    }
    std::ranges::stable_sort(units, [](const UnitSensitivity& a, const UnitSensitivity& b) {
        return a.divergence.value > b.divergence.value;
    });
    text += fmt::format("{:<{}} {:<8} {:>12} {:>12} {:>10} {:>12} {:>10}\n", "unit", width, "type", "weights",
                        "divergence", "+/-", "perplexity", "+/-");
    for (const UnitSensitivity& unit : units)
        text += fmt::format("{:<{}} {:<8} {:>12} {:>12.6f} {:>10.6f} {:>+12.5f} {:>10.5f}\n", unit.unit,
                            width, unit.type, unit.weights, unit.divergence.value, unit.divergence.error,
                            unit.perplexity_change.value, unit.perplexity_change.error);
    return text;
}

std::string sensitivity_json(const perplexity::Sensitivity& sensitivity) {
    Json units = Json::array();
    for (const UnitSensitivity& unit : sensitivity.units)
        units.push_back({{"unit", unit.unit},
                         {"type", unit.type},
                         {"weights", unit.weights},
                         {"perplexity_change", unit.perplexity_change.value},
                         {"perplexity_change_error", unit.perplexity_change.error},
                         {"divergence", unit.divergence.value},
                         {"divergence_error", unit.divergence.error},
                         {"tensors", unit.tensors}});
    Json unrounded = Json::array();
    for (const auto& type : sensitivity.unrounded)
        unrounded.push_back({{"type", type.type}, {"tensors", type.tensors}});
    const Json all = {{"format", "assay.sensitivity"},
                      {"version", 1},
                      {"model", sensitivity.model},
                      {"architecture", sensitivity.architecture},
                      {"by", sensitivity.by},
                      {"n_ctx", sensitivity.n_ctx},
                      {"chunks", sensitivity.n_chunks},
                      {"positions", sensitivity.positions},
                      {"perplexity", sensitivity.perplexity.value},
                      {"perplexity_error", sensitivity.perplexity.error},
                      {"units", std::move(units)},
                      {"unrounded", std::move(unrounded)}};
    return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string sensitivity_csv(const perplexity::Sensitivity& sensitivity) {
    std::string text =
        "unit,type,weights,perplexity_change,perplexity_change_error,divergence,divergence_error\n";
    for (const UnitSensitivity& unit : sensitivity.units)
        text += fmt::format("{},{},{},{},{},{},{}\n", csv_field(unit.unit), unit.type, unit.weights,
                            unit.perplexity_change.value, unit.perplexity_change.error, unit.divergence.value,
                            unit.divergence.error);
    return text;
}

}  // namespace assay::report
