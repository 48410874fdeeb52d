#include <algorithm>
#include <cmath>
#include <numeric>

#include "oracle/functions.h"

namespace assay::oracle {

namespace {

/// The least divisor of weights: the smallest normal half, as llama.cpp.
constexpr double kLeastSum = 0x1p-14;

/// Indices of the n largest, ties to the lower index.
std::vector<std::int64_t> largest(std::span<const double> scores, std::int64_t n) {
    std::vector<std::int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::int64_t i) { return scores[static_cast<std::size_t>(i)]; });
    order.resize(static_cast<std::size_t>(n));
    return order;
}

std::vector<double> gated(std::span<const double> logits, Gating gating) {
    std::vector<double> scores(logits.begin(), logits.end());
    const double top = *std::ranges::max_element(scores);
    double total = 0;
    for (const double logit : logits) total += std::exp(logit - top);
    for (double& s : scores) switch (gating) {
            case Gating::Softmax: s = std::exp(s - top) / total; break;
            case Gating::Sigmoid: s = activate(Activation::Sigmoid, s); break;
            case Gating::SqrtSoftplus: s = std::sqrt(activate(Activation::Softplus, s)); break;
            case Gating::SoftmaxSelected: break;
        }
    return scores;
}

/// Leaves only the groups with the largest sums of their two best scores.
void keep_groups(std::vector<double>& scores, const model::Router& router) {
    const std::size_t size = scores.size() / static_cast<std::size_t>(router.n_groups);
    std::vector<double> sums;
    for (std::size_t first = 0; first < scores.size(); first += size) {
        const std::span<const double> group = std::span(scores).subspan(first, size);
        double sum = 0;
        for (const std::int64_t i :
             largest(group, std::min<std::int64_t>(2, static_cast<std::int64_t>(size))))
            sum += group[static_cast<std::size_t>(i)];
        sums.push_back(sum);
    }
    const std::vector<std::int64_t> kept = largest(sums, router.n_groups_used);
    for (std::size_t e = 0; e < scores.size(); ++e)
        if (std::ranges::find(kept, static_cast<std::int64_t>(e / size)) == kept.end()) scores[e] = -INFINITY;
}

/// What experts are chosen by.
std::vector<double> selection_of(std::span<const double> logits, const std::vector<double>& scores,
                                 const model::Router& router, const Numbers& selection_bias) {
    std::vector<double> selection = scores;
    if (router.select_logits) selection.assign(logits.begin(), logits.end());
    for (std::size_t e = 0; e < selection_bias.size(); ++e)
        selection[e] += static_cast<double>(selection_bias[e]);
    if (router.n_groups_used < router.n_groups) keep_groups(selection, router);
    return selection;
}

}  // namespace

double margin(std::span<const double> logits, const model::Router& router, const Numbers& selection_bias) {
    if (router.n_used == router.n_experts * router.logits_per_expert) return INFINITY;
    std::vector<double> selection =
        selection_of(logits, gated(logits, router.gating), router, selection_bias);
    std::ranges::sort(selection, std::ranges::greater{});
    const auto last = static_cast<std::size_t>(router.n_used - 1);
    return selection[last] - selection[last + 1];
}

std::vector<Choice> route(std::span<const double> logits, const model::Router& router,
                          const Numbers& selection_bias, const std::vector<std::int64_t>& given) {
    const std::vector<double> scores = gated(logits, router.gating);
    const std::vector<double> selection = selection_of(logits, scores, router, selection_bias);
    std::vector<Choice> choices;
    for (const std::int64_t choice : given.empty() ? largest(selection, router.n_used) : given) {
        const std::int64_t e = choice / router.logits_per_expert;
        choices.push_back({e, scores[static_cast<std::size_t>(e)]});
    }
    double total = 0;
    if (router.gating == Gating::SoftmaxSelected) {
        const double top = std::ranges::max_element(choices, {}, &Choice::weight)->weight;
        for (Choice& choice : choices) choice.weight = std::exp(choice.weight - top);
    }
    for (const Choice& choice : choices) total += choice.weight;
    const bool divides = router.normalise || router.gating == Gating::SoftmaxSelected;
    for (Choice& choice : choices)
        choice.weight *=
            static_cast<double>(router.weight_scale) / (divides ? std::max(total, kLeastSum) : 1);
    return choices;
}

}  // namespace assay::oracle
