#include <cmath>
#include <cstdlib>
#include <fmt/format.h>

#include "core/text.h"
#include "report/json_values.h"

namespace assay::report {

namespace {

/// The expert weights with the layer and tensor that the map sorts them by.
Json coverage_json(const stats::Coverage& coverage) {
    Json json = to_json(coverage);
    for (Json& weight : json["experts"]) {
        const auto parts = stats::split_name(weight["name"].get_ref<const std::string&>());
        weight["layer"] = parts.layer;
        weight["tensor"] = parts.tensor;
    }
    return json;
}

/// [perplexity, standard error] after each chunk.
Json curve(const std::vector<perplexity::Sums>& chunks) {
    Json points = Json::array();
    perplexity::Sums sums;
    for (const auto& chunk : chunks) {
        sums.merge(chunk);
        const auto estimate = sums.finish();
        points.push_back(Json::array({sums.running(), estimate ? Json(estimate->error) : Json(nullptr)}));
    }
    return points;
}

/// Six significant digits are more than a picture shows, and keep the page small. Texts as a page may show
/// them.
void prepare(Json& value) {
    if (value.is_number_float() && std::isfinite(value.get<double>()))
        value = std::strtod(fmt::format("{:.6g}", value.get<double>()).c_str(), nullptr);
    else if (value.is_string())
        value = printable(value.get_ref<const std::string&>(), "\n");
    else if (value.is_structured())
        for (Json& element : value) prepare(element);
}

}  // namespace

Json to_json(const stats::Distribution& distribution) {
    Json outliers = Json::array();
    for (const auto& o : distribution.outliers)
        outliers.push_back({{"matrix", o.matrix},
                            {"column", o.column},
                            {"mean_square", o.mean_square},
                            {"times_median", o.times_median},
                            {"share", o.share}});
    const auto parts = stats::split_name(distribution.name);
    return {{"name", distribution.name},
            {"layer", parts.layer},
            {"tensor", parts.tensor},
            {"quantiles", distribution.quantiles},
            {"outliers", std::move(outliers)}};
}

Json to_json(const stats::Change& change) {
    const auto parts = stats::split_name(change.name);
    return {{"name", change.name},
            {"layer", parts.layer},
            {"tensor", parts.tensor},
            {"cosine", change.cosine},
            {"rank_correlation", change.rank_correlation},
            {"energy_ratio", change.energy_ratio}};
}

Json to_json(const MatrixReport& report) {
    return {{"label", report.label},
            {"model", report.model},
            {"datasets", report.datasets},
            {"chunk_size", report.chunk_size},
            {"chunk_count", report.chunk_count},
            {"perplexity", to_json(total_sums(report))},
            {"curve", curve(report.chunk_sums)},
            {"tensors", array_of(report.tensors)},
            {"layers", array_of(report.layers)},
            {"activations", array_of(report.activations)},
            {"distributions", array_of(report.distributions)},
            {"coverage", coverage_json(report.coverage)},
            {"similarity", report.similarity ? to_json(*report.similarity) : Json(nullptr)}};
}

Json to_json(const stats::Comparison& comparison) {
    return {{"changes", array_of(comparison.changes)},
            {"only_first", comparison.only_first},
            {"only_second", comparison.only_second}};
}

perplexity::Sums total_sums(const MatrixReport& report) {
    if (report.chunk_sums.empty()) return report.perplexity.value_or(perplexity::Sums{});
    perplexity::Sums sums;
    for (const auto& chunk : report.chunk_sums) sums.merge(chunk);
    return sums;
}

std::string script_json(const ReportData& data) {
    Json numbers = {{"title", data.title},
                    {"matrices", array_of(data.matrices)},
                    {"comparisons", array_of(data.comparisons)},
                    {"recipe", data.recipe}};
    prepare(numbers);
    std::string safe;
    for (const char c : dump(numbers)) {
        if (c == '<')
            safe += "\\u003c";
        else
            safe += c;
    }
    return safe;
}

}  // namespace assay::report
