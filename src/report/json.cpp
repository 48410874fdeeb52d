#include "report/json.h"

#include <algorithm>
#include <fmt/format.h>

#include "report/json_values.h"

namespace assay::report {

namespace {

Json number(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

/// A float with the digits that distinguish it as a float, not those of its double.
double shortest(float value) { return std::stod(fmt::format("{}", value)); }

}  // namespace

Json to_json(const stats::TensorStats& t) {
    return {{"name", t.name},
            {"layer", t.parts.layer},
            {"tensor", t.parts.tensor},
            {"n", t.n},
            {"energy", shortest(t.energy)},
            {"min", shortest(t.min)},
            {"max", shortest(t.max)},
            {"mean", shortest(t.mean)},
            {"stddev", shortest(t.stddev)},
            {"active", shortest(t.active)},
            {"entropy_bits", shortest(t.entropy)},
            {"entropy_percent", shortest(t.entropy_norm)},
            {"zd", shortest(t.zd)},
            {"cos_sim", shortest(t.cos_sim)}};
}

Json to_json(const stats::LayerStats& layer) {
    return {{"layer", layer.layer},
            {"energy", shortest(layer.energy)},
            {"zd", shortest(layer.zd)},
            {"cos_sim", shortest(layer.cos_sim)}};
}

Json to_json(const stats::ActivationStats& t) {
    return {{"name", t.name},
            {"layer", t.parts.layer},
            {"tensor", t.parts.tensor},
            {"of", t.has_sums ? "x" : "x^2"},
            {"mean", t.mean},
            {"stddev", t.stddev},
            {"skewness", t.skewness},
            {"kurtosis", t.kurtosis},
            {"entropy_percent", t.entropy_norm},
            {"energy", t.energy},
            {"gain", number(t.gain)},
            {"l2_distance", number(t.l2_distance)},
            {"cosine", number(t.cosine)},
            {"pearson", number(t.pearson)},
            {"covariance", number(t.covariance)}};
}

Json to_json(const stats::ActivationLayer& layer) {
    return {{"layer", layer.layer},
            {"energy", layer.energy},
            {"gain", number(layer.gain)},
            {"l2_distance", number(layer.l2_distance)},
            {"cosine", number(layer.cosine)},
            {"pearson", number(layer.pearson)},
            {"covariance", number(layer.covariance)}};
}

Json to_json(const stats::Coverage& coverage) {
    Json experts = Json::array();
    for (const auto& weight : coverage.experts) {
        Json rows = Json::array();
        for (const double count : weight.counts) rows.push_back(row_count(count));
        experts.push_back({{"name", weight.name},
                           {"missing", weight.n_missing},
                           {"starving", weight.n_starving},
                           {"least_fed_expert", weight.least_fed},
                           {"rows", std::move(rows)}});
    }
    return {{"verdict", stats::to_string(coverage.verdict())},
            {"sentence", coverage.sentence()},
            {"weights", coverage.n_weights},
            {"experts_sentence", coverage.experts_line()},
            {"demand_sentence", coverage.demand_line()},
            {"types_that_demand_data", coverage.demanding_types},
            {"starving_below_rows", stats::kStarvingRows},
            {"not_collected", coverage.absent},
            {"without_data", coverage.empty},
            {"few_rows", coverage.thin},
            {"experts", std::move(experts)}};
}

Json to_json(const perplexity::Sums& sums) {
    const auto estimate = sums.finish();
    return {{"perplexity", estimate ? Json(estimate->perplexity) : Json(nullptr)},
            {"error", estimate ? Json(estimate->error) : Json(nullptr)},
            {"tokens", sums.count}};
}

Json to_json(const similarity::Similarity& similarity) {
    const auto list = [&](similarity::Kind kind) {
        Json layers = Json::array();
        const auto& sums = similarity.sums(kind);
        const bool residual = std::find(similarity::kInputKinds.begin(), similarity::kInputKinds.end(),
                                        kind) == similarity::kInputKinds.end();
        for (std::size_t i = 0; i < sums.size(); ++i) {
            if (sums[i].count == 0) continue;
            const auto count = static_cast<double>(sums[i].count);
            Json layer = {{"layer", i}, {"cos_sim", sums[i].cos.high / count}};
            if (residual) layer["relative_change"] = sums[i].relative_change.high / count;
            layer["tokens"] = sums[i].count;
            layers.push_back(std::move(layer));
        }
        return layers;
    };
    return {{"layer", list(similarity::Kind::Layer)},
            {"attention", list(similarity::Kind::Attention)},
            {"ffn", list(similarity::Kind::Ffn)},
            {"residual", list(similarity::Kind::Residual)},
            {"residual_attention", list(similarity::Kind::ResidualAttention)},
            {"residual_ffn", list(similarity::Kind::ResidualFfn)}};
}

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string statistics_json(std::span<const stats::TensorStats> tensors,
                            std::span<const stats::LayerStats> layers,
                            std::span<const stats::ActivationStats> activations,
                            std::span<const stats::ActivationLayer> activation_layers,
                            const stats::Coverage& coverage) {
    return dump({{"tensors", array_of(tensors)},
                 {"layers", array_of(layers)},
                 {"activations", array_of(activations)},
                 {"activation_layers", array_of(activation_layers)},
                 {"coverage", to_json(coverage)}});
}

std::string similarity_json(const similarity::Similarity& similarity) { return dump(to_json(similarity)); }

}  // namespace assay::report
