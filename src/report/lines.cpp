#include "report/lines.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace assay::report {

namespace {

std::string_view word(similarity::Kind kind) {
    switch (kind) {
        case similarity::Kind::Layer: return "layer";
        case similarity::Kind::Attention: return "attention";
        default: break;
    }
    return "ffn";
}

std::string figure(const std::optional<perplexity::Estimate>& estimate) {
    if (!estimate) return "unknown, the variance is not positive";
    return fmt::format("{:.4f} +/- {:.5f}", estimate->perplexity, estimate->error);
}

}  // namespace

std::string chunk_text(std::uint64_t n, double running_perplexity) {
    return fmt::format("[{}]{:.4f},", n, running_perplexity);
}

std::string estimate_text(const std::optional<perplexity::Estimate>& estimate) {
    if (!estimate) return "Unexpected negative standard deviation of log(prob)\n";
    return fmt::format("Final estimate: PPL = {:.4f} +/- {:.5f}\n", estimate->perplexity, estimate->error);
}

std::string nextn_text(std::int64_t block, std::int64_t tokens,
                       const std::optional<perplexity::Estimate>& estimate) {
    return fmt::format("NextN block {}, {} tokens ahead: PPL = {}\n", block, tokens, figure(estimate));
}

std::string role_text(std::string_view role, const std::optional<perplexity::Estimate>& estimate) {
    return fmt::format("{} tokens: PPL = {}\n", role, figure(estimate));
}

std::string similarity_text(const similarity::Similarity& similarity) {
    std::string text;
    for (const similarity::Kind kind : similarity::kInputKinds) {
        const auto ranked = similarity.finish(kind);
        if (ranked.empty()) continue;
        text += fmt::format("\n======================== sorted {} importances\n", word(kind));
        for (std::size_t rank = 0; rank < ranked.size(); ++rank)
            text += fmt::format("{:>3}: Layer {:>3}, <cos_sim> = {:g}\n", rank, ranked[rank].layer,
                                ranked[rank].cos_sim);
    }
    return text;
}

std::string residual_text(const similarity::Similarity& similarity) {
    using similarity::Kind;
    constexpr std::array kParts{Kind::Residual, Kind::ResidualAttention, Kind::ResidualFfn};
    std::size_t n_layers = similarity.sums(Kind::Residual).size();
    for (const Kind kind : kParts) n_layers = std::min(n_layers, similarity.sums(kind).size());
    if (n_layers == 0) return {};
    std::string text = "\nresidual stream: cosine and |change| / |before|\n";
    text += fmt::format("{:>5} {:>17} {:>17} {:>17}\n", "layer", "whole layer", "attention", "feed-forward");
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
        text += fmt::format("{:>5}", layer);
        for (const Kind kind : kParts) {
            const similarity::Sum& sum = similarity.sums(kind)[layer];
            const double count = sum.count > 0 ? static_cast<double>(sum.count) : std::nan("");
            text +=
                fmt::format("  {:>7.4f} {:>8.4f}", sum.cos.high / count, sum.relative_change.high / count);
        }
        text += "\n";
    }
    return text;
}

}  // namespace assay::report
