#include "backend/cpu/routing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/shapes.h"

namespace assay::backend::cpu {

namespace {

/// The least divisor of expert weights, as llama.cpp (6.1e-5, the smallest normal half).
constexpr float kLeastWeightSum = 6.103515625e-5f;

/// The chosen experts of a row and their weights.
struct Chosen {
    std::vector<std::int64_t> experts;
    std::vector<float> weights;
};

/// What the weights come from; the logits themselves where only those of the chosen count.
std::vector<float> gated_scores(std::span<const float> logits, Gating gating) {
    std::vector<float> scores(logits.begin(), logits.end());
    switch (gating) {
        case Gating::Softmax: {
            const float largest = *std::ranges::max_element(scores);
            float total = 0;
            for (float& s : scores) total += s = std::exp(s - largest);
            for (float& s : scores) s /= total;
            break;
        }
        case Gating::Sigmoid:
            for (float& s : scores) s = 1.0f / (1.0f + std::exp(-s));
            break;
        case Gating::SqrtSoftplus:
            for (float& s : scores) s = std::sqrt(s > 20 ? s : std::log1p(std::exp(s)));
            break;
        case Gating::SoftmaxSelected: break;
    }
    return scores;
}

/// The n best of the scores, best first; ties go to the lower number.
std::vector<std::int64_t> best(std::span<const float> scores, std::int64_t n) {
    std::vector<std::int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto better = [&](std::int64_t a, std::int64_t b) {
        const float x = scores[static_cast<std::size_t>(a)];
        const float y = scores[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
    };
    std::partial_sort(order.begin(), order.begin() + n, order.end(), better);
    order.resize(static_cast<std::size_t>(n));
    return order;
}

/// Takes the groups that are not among the best out of the choice.
void leave_groups(std::vector<float>& scores, const RouteArgs& args) {
    const auto n_groups = static_cast<std::size_t>(args.n_groups);
    const std::size_t size = scores.size() / n_groups;
    std::vector<float> sums(n_groups);
    for (std::size_t g = 0; g < n_groups; ++g) {
        const std::span<const float> group = std::span(scores).subspan(g * size, size);
        for (const std::int64_t e : best(group, size > 1 ? 2 : 1))
            sums[g] += group[static_cast<std::size_t>(e)];
    }
    std::vector<bool> used(n_groups);
    for (const std::int64_t g : best(sums, args.n_groups_used)) used[static_cast<std::size_t>(g)] = true;
    for (std::size_t e = 0; e < scores.size(); ++e)
        if (!used[e / size]) scores[e] = -INFINITY;
}

std::vector<std::int64_t> select(std::span<const float> logits, std::span<const float> gated,
                                 const RouteArgs& args) {
    const std::span<const float> from = args.select_logits ? logits : gated;
    std::vector<float> scores(from.begin(), from.end());
    if (args.selection_bias != nullptr)
        for (std::size_t e = 0; e < scores.size(); ++e) scores[e] += args.selection_bias[e];
    if (args.n_groups_used < args.n_groups) leave_groups(scores, args);
    return best(scores, args.n_used);
}

Chosen choose(std::span<const float> logits, const RouteArgs& args, std::span<const std::int32_t> given) {
    const std::vector<float> scores = gated_scores(logits, args.gating);
    Chosen chosen;
    if (given.empty())
        chosen.experts = select(logits, scores, args);
    else
        chosen.experts.assign(given.begin(), given.end());
    for (std::int64_t& e : chosen.experts) {
        e /= args.logits_per_expert;
        chosen.weights.push_back(scores[static_cast<std::size_t>(e)]);
    }
    if (args.gating == Gating::SoftmaxSelected) {
        const float largest = *std::ranges::max_element(chosen.weights);
        for (float& w : chosen.weights) w = std::exp(w - largest);
    }
    if (args.normalise || args.gating == Gating::SoftmaxSelected) {
        const float total = std::accumulate(chosen.weights.begin(), chosen.weights.end(), 0.0f);
        for (float& w : chosen.weights) w /= std::max(total, kLeastWeightSum);
    }
    for (float& w : chosen.weights) w *= args.weight_scale;
    return chosen;
}

}  // namespace

RoutingPtr CpuBackend::route(View logits, const RouteArgs& args, Rows rows) {
    check_routing(logits, args, rows);
    auto routing = std::make_unique<CpuRouting>();
    routing->n_experts = logits.cols / args.logits_per_expert;
    routing->by_expert.resize(static_cast<std::size_t>(routing->n_experts));
    routing->counts.resize(static_cast<std::size_t>(rows.n_chunks * routing->n_experts));
    const std::span<const float> weights = rows.weights();
    const auto n_used = static_cast<std::size_t>(args.n_used);
    const auto n_choices = static_cast<std::size_t>(logits.rows) * n_used;
    std::vector<std::int32_t> experts(n_choices);
    std::vector<float> expert_weights(n_choices);
    pool_.run((logits.rows + kRowTile - 1) / kRowTile, [&](std::int64_t task, int) {
        const std::int64_t end = std::min(logits.rows, (task + 1) * kRowTile);
        for (std::int64_t row = task * kRowTile; row < end; ++row) {
            const std::size_t at = static_cast<std::size_t>(row) * n_used;
            const Chosen chosen = choose({logits.row_f32(row), static_cast<std::size_t>(logits.cols)}, args,
                                         args.chosen.empty() ? args.chosen : args.chosen.subspan(at, n_used));
            for (std::size_t slot = 0; slot < n_used; ++slot) {
                experts[at + slot] = static_cast<std::int32_t>(chosen.experts[slot]);
                expert_weights[at + slot] = chosen.weights[slot];
            }
        }
    });
    // Of a long wave's rows there are many: no list grows beyond what it will hold.
    std::vector<std::size_t> sizes(routing->by_expert.size());
    for (const std::int32_t expert : experts) ++sizes[static_cast<std::size_t>(expert)];
    for (std::size_t e = 0; e < sizes.size(); ++e) routing->by_expert[e].reserve(sizes[e]);
    for (std::int64_t chunk = 0; chunk < rows.n_chunks; ++chunk)
        for (std::int64_t row = rows.first_row(chunk); row < rows.first_row(chunk + 1); ++row)
            for (std::size_t slot = 0; slot < n_used; ++slot) {
                const std::size_t at = static_cast<std::size_t>(row) * n_used + slot;
                routing->by_expert[static_cast<std::size_t>(experts[at])].push_back(
                    {static_cast<std::int32_t>(row), static_cast<std::int32_t>(chunk), expert_weights[at],
                     weight_of(weights, row)});
                routing->counts[static_cast<std::size_t>(chunk * routing->n_experts + experts[at])] +=
                    static_cast<double>(weight_of(weights, row));
            }
    return routing;
}

}  // namespace assay::backend::cpu
