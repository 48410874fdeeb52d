#include "stats/coverage.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>

#include "core/text.h"

namespace assay::stats {

namespace {

bool starves(double count) { return count > 0 && count < kStarvingRows; }

ExpertCoverage expert_coverage(const std::string& name, const imatrix::Entry& entry) {
    ExpertCoverage experts{name, entry.counts, entry.n_missing()};
    experts.n_starving =
        static_cast<std::uint64_t>(std::count_if(entry.counts.begin(), entry.counts.end(), starves));
    std::vector<double> sorted = entry.counts;
    std::sort(sorted.begin(), sorted.end());
    experts.least_fed =
        static_cast<std::uint64_t>(std::ranges::min_element(entry.counts) - entry.counts.begin());
    experts.least = sorted.front();
    experts.median = sorted[sorted.size() / 2];
    experts.most = sorted.back();
    return experts;
}

template <typename Number> std::string counted(Number n, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
}

}  // namespace

std::uint64_t Coverage::n_expert_matrices() const noexcept {
    std::uint64_t n = 0;
    for (const ExpertCoverage& weight : experts) n += weight.counts.size();
    return n;
}

const ExpertCoverage* Coverage::least_fed() const noexcept {
    const auto found = std::ranges::min_element(experts, {}, &ExpertCoverage::least);
    return found == experts.end() ? nullptr : &*found;
}

std::string Coverage::experts_line() const {
    const ExpertCoverage* weight = least_fed();
    if (weight == nullptr) return "";
    const std::uint64_t n = n_expert_matrices();
    return fmt::format("{} of {} expert matrices reached, the least fed is expert {} of {} with {}",
                       n - n_missing_experts(), n, weight->least_fed, printable(weight->name),
                       counted(weight->least, "token", "tokens"));
}

std::string Coverage::demand_line() const {
    std::vector<std::string> gaps;
    const auto n_partial =
        std::ranges::count_if(experts, [](const ExpertCoverage& weight) { return weight.n_missing != 0; });
    if (n_partial > 0)
        gaps.push_back(fmt::format("{} of {} would be rounded as if without data",
                                   counted(n_missing_experts(), "expert matrix", "expert matrices"),
                                   counted(static_cast<std::uint64_t>(n_partial), "tensor", "tensors")));
    if (!absent.empty()) gaps.push_back(counted(absent.size(), "tensor is", "tensors are") + " refused");
    std::string text;
    for (const std::string& gap : gaps) text += (text.empty() ? "" : "; ") + gap;
    if (text.empty()) return text;
    const std::string types = demanding_types.empty() ? "" : " (" + demanding_types + ")";
    return fmt::format("to types that demand data{}: {}", types, text);
}

std::uint64_t Coverage::n_missing_experts() const noexcept {
    std::uint64_t n = 0;
    for (const ExpertCoverage& weight : experts) n += weight.n_missing;
    return n;
}

std::uint64_t Coverage::n_starving_experts() const noexcept {
    std::uint64_t n = 0;
    for (const ExpertCoverage& weight : experts) n += weight.n_starving;
    return n;
}

Verdict Coverage::verdict() const noexcept {
    if (n_weights == 0 || !empty.empty() || !absent.empty() || n_missing_experts() != 0)
        return Verdict::Incomplete;
    return !thin.empty() || n_starving_experts() != 0 ? Verdict::Thin : Verdict::Complete;
}

std::string Coverage::sentence() const {
    if (n_weights == 0) return "The matrix is empty.";
    std::vector<std::string> gaps;
    if (!absent.empty())
        gaps.push_back(counted(absent.size(), "weight", "weights") + " of the model not collected");
    if (!empty.empty()) gaps.push_back(counted(empty.size(), "weight", "weights") + " without data");
    if (const auto n = n_missing_experts(); n != 0)
        gaps.push_back(counted(n, "expert matrix", "expert matrices") + " never routed to");
    if (const auto n = n_starving_experts() + thin.size(); n != 0)
        gaps.push_back(
            fmt::format("{} seen by fewer than {} rows", counted(n, "matrix", "matrices"), kStarvingRows));
    if (gaps.empty())
        return fmt::format("Every matrix of {} has data from at least {} rows.",
                           counted(n_weights, "weight", "weights"), kStarvingRows);
    std::string text;
    for (const std::string& gap : gaps) text += (text.empty() ? "" : "; ") + gap;
    return text + ". More, and more varied, text would reach them.";
}

Coverage coverage(const imatrix::Matrix& matrix, std::span<const std::string> expected) {
    Coverage result;
    result.n_weights = matrix.entries.size();
    for (const auto& [name, entry] : matrix.entries) {
        if (entry.max_count() == 0) result.empty.push_back(name);
        if (entry.counts.size() > 1)
            result.experts.push_back(expert_coverage(name, entry));
        else if (starves(entry.max_count()))
            result.thin.push_back(name);
    }
    for (const std::string& name : expected)
        if (!matrix.entries.contains(name)) result.absent.push_back(name);
    return result;
}

std::string_view to_string(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::Complete: return "complete";
        case Verdict::Thin: return "thin";
        case Verdict::Incomplete: break;
    }
    return "incomplete";
}

}  // namespace assay::stats
