#include "report/comparison_text.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <set>

#include "core/text.h"
#include "report/csv.h"
#include "report/json_values.h"

namespace assay::report {

using perplexity::ComparedFile;
using perplexity::ComparedPair;
using perplexity::Comparison;
using perplexity::Measured;

namespace {

/// Names of the files without their folders where these tell them apart too.
std::vector<std::string> labels(const Comparison& comparison) {
    std::vector<std::string> brief, full;
    for (const ComparedFile& file : comparison.files) {
        brief.push_back(printable(std::filesystem::path(file.name).filename().string()));
        full.push_back(printable(file.name));
    }
    return std::set(brief.begin(), brief.end()).size() == brief.size() ? brief : full;
}

std::size_t widest(const std::vector<std::string>& texts) {
    std::size_t width = 4;
    for (const std::string& text : texts) width = std::max(width, text.size());
    return width;
}

void add(Json& json, const std::string& name, const Measured& measured) {
    json[name] = measured.value;
    json[name + "_error"] = measured.error;
}

Json to_json(const ComparedFile& file) {
    Json json = {{"file", file.name}, {"bits_per_weight", file.bits_per_weight}};
    add(json, "perplexity", file.perplexity);
    add(json, "log_ratio", file.log_ratio);
    add(json, "divergence", file.divergence);
    json["divergence_median"] = file.divergences.median;
    json["divergence_90"] = file.divergences.at_90;
    json["divergence_95"] = file.divergences.at_95;
    json["divergence_99"] = file.divergences.at_99;
    json["divergence_99_9"] = file.divergences.at_99_9;
    json["divergence_largest"] = file.divergences.largest;
    add(json, "probability_change", file.probability_change);
    add(json, "probability_change_rms", file.probability_change_rms);
    add(json, "same_top", file.same_top);
    return json;
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
    const std::vector<std::string> names = labels(comparison);
    const std::size_t width = widest(names);
    std::string text = fmt::format(
        "base {}: {:.2f} bits per weight, perplexity {:.4f} +/- {:.4f} over {} positions of {} chunks\n\n",
        printable(comparison.base), comparison.bits_per_weight, comparison.perplexity.value,
        comparison.perplexity.error, comparison.positions, comparison.n_chunks);
    text += fmt::format(
        "{:<{}} {:>6} {:>11} {:>8} {:>10} {:>9} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>6} "
        "{:>9} {:>6}\n",
        "file", width, "bits", "perplexity", "+/-", "ln(ratio)", "+/-", "divergence", "+/-", "median", "90 %",
        "95 %", "99 %", "99.9 %", "largest", "rms dp %", "+/-", "same top %", "+/-");
    for (std::size_t i = 0; i < names.size(); ++i) {
        const ComparedFile& file = comparison.files[i];
        const perplexity::Quantiles& at = file.divergences;
        text += fmt::format("{:<{}} {:>6.2f} {:>11.4f} {:>8.4f} {:>+10.6f} {:>9.6f} {:>11.6f} {:>9.6f}",
                            names[i], width, file.bits_per_weight, file.perplexity.value,
                            file.perplexity.error, file.log_ratio.value, file.log_ratio.error,
                            file.divergence.value, file.divergence.error);
        for (const double value : {at.median, at.at_90, at.at_95, at.at_99, at.at_99_9, at.largest})
            text += fmt::format(" {:>9.6f}", value);
        text += fmt::format(" {:>8.3f} {:>6.3f} {:>10.3f} {:>6.3f}\n",
                            100 * file.probability_change_rms.value, 100 * file.probability_change_rms.error,
                            100 * file.same_top.value, 100 * file.same_top.error);
    }
    if (comparison.pairs.empty()) return text;
    text += fmt::format("\n{:<{}} {:<{}} {:>10} {:>9} {:>11} {:>9}\n", "from", width, "to", width,
                        "ln(ratio)", "+/-", "divergence", "+/-");
    for (const ComparedPair& pair : comparison.pairs)
        text += fmt::format("{:<{}} {:<{}} {:>+10.6f} {:>9.6f} {:>+11.6f} {:>9.6f}\n", names[pair.first],
                            width, names[pair.second], width, pair.log_ratio.value, pair.log_ratio.error,
                            pair.divergence.value, pair.divergence.error);
    return text;
}

std::string comparison_json(const Comparison& comparison) {
    Json all = {{"format", "assay.kld"},
                {"version", 1},
                {"base", comparison.base},
                {"architecture", comparison.architecture},
                {"bits_per_weight", comparison.bits_per_weight},
                {"n_ctx", comparison.n_ctx},
                {"chunks", comparison.n_chunks},
                {"positions", comparison.positions}};
    add(all, "perplexity", comparison.perplexity);
    all["files"] = Json::array();
    for (const ComparedFile& file : comparison.files) all["files"].push_back(to_json(file));
    all["pairs"] = Json::array();
    for (const ComparedPair& pair : comparison.pairs) {
        Json json = {{"first", comparison.files[pair.first].name},
                     {"second", comparison.files[pair.second].name}};
        add(json, "log_ratio", pair.log_ratio);
        add(json, "divergence_change", pair.divergence);
        all["pairs"].push_back(std::move(json));
    }
    return all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string comparison_csv(const Comparison& comparison) {
    std::string text;
    for (const ComparedFile& file : comparison.files) {
        const Json json = to_json(file);
        std::string names, values;
        for (const auto& [name, value] : json.items()) {
            names += (names.empty() ? "" : ",") + name;
            values += (values.empty() ? "" : ",") +
                      (value.is_string() ? csv_field(file.name) : fmt::format("{}", value.get<double>()));
        }
        if (text.empty()) text = names + "\n";
        text += values + "\n";
    }
    return text;
}

}  // namespace assay::report
