#include "report/lines.h"

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

}  // namespace

std::string chunk_text(std::uint64_t n, double running_perplexity) {
    return fmt::format("[{}]{:.4f},", n, running_perplexity);
}

std::string estimate_text(const std::optional<perplexity::Estimate>& estimate) {
    if (!estimate) return "Unexpected negative standard deviation of log(prob)\n";
    return fmt::format("Final estimate: PPL = {:.4f} +/- {:.5f}\n", estimate->perplexity, estimate->error);
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

}  // namespace assay::report
