#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/reference.h"

namespace assay::backend::reference {

namespace {

std::vector<std::int64_t> best(const std::vector<double>& scores, std::int64_t n) {
    std::vector<std::int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    order.resize(static_cast<std::size_t>(n));
    return order;
}

/// Only experts of the groups with the largest sums of their two best scores.
std::vector<double> within_groups(std::vector<double> scores, const RouteArgs& args) {
    const std::size_t size = scores.size() / static_cast<std::size_t>(args.n_groups);
    std::vector<double> sums;
    for (auto group = scores.begin(); group != scores.end(); group += static_cast<std::ptrdiff_t>(size)) {
        std::vector<double> sorted(group, group + static_cast<std::ptrdiff_t>(size));
        std::sort(sorted.rbegin(), sorted.rend());
        sums.push_back(sorted[0] + (size > 1 ? sorted[1] : 0.0));
    }
    const std::vector<std::int64_t> used = best(sums, args.n_groups_used);
    for (std::size_t e = 0; e < scores.size(); ++e)
        if (std::find(used.begin(), used.end(), static_cast<std::int64_t>(e / size)) == used.end())
            scores[e] = -INFINITY;
    return scores;
}

}  // namespace

std::vector<Choice> route(const Matrix& logits, const RouteArgs& args,
                          const std::vector<float>& selection_bias) {
    std::vector<Choice> choices;
    for (std::int64_t row = 0; row < logits.rows; ++row) {
        std::vector<double> scores;
        std::vector<double> selection;
        double total = 0;
        for (std::int64_t e = 0; e < logits.cols; ++e) total += std::exp(logits.at(row, e));
        for (std::int64_t e = 0; e < logits.cols; ++e) {
            const double logit = logits.at(row, e);
            if (args.gating == Gating::Softmax) scores.push_back(std::exp(logit) / total);
            if (args.gating == Gating::Sigmoid) scores.push_back(1 / (1 + std::exp(-logit)));
            if (args.gating == Gating::SoftmaxSelected) scores.push_back(std::exp(logit));
            if (args.gating == Gating::SqrtSoftplus) scores.push_back(std::sqrt(std::log1p(std::exp(logit))));
            const bool by_logit = args.select_logits || args.gating == Gating::SoftmaxSelected;
            selection.push_back((by_logit ? logit : scores.back()) +
                                (selection_bias.empty() ? 0.0 : selection_bias[static_cast<std::size_t>(e)]));
        }
        Choice choice;
        const auto given = args.chosen.begin() + (args.chosen.empty() ? 0 : row * args.n_used);
        if (args.chosen.empty())
            choice.experts = best(within_groups(selection, args), args.n_used);
        else
            choice.experts.assign(given, given + args.n_used);
        for (std::int64_t& e : choice.experts) e /= args.logits_per_expert;
        double chosen = 0;
        for (const std::int64_t e : choice.experts) chosen += scores[static_cast<std::size_t>(e)];
        const bool relative = args.normalise || args.gating == Gating::SoftmaxSelected;
        for (const std::int64_t e : choice.experts)
            choice.weights.push_back(scores[static_cast<std::size_t>(e)] / (relative ? chosen : 1.0) *
                                     static_cast<double>(args.weight_scale));
        choices.push_back(std::move(choice));
    }
    return choices;
}

}  // namespace assay::backend::reference
