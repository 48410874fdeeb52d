// What a comparison of files found, for people and for other programs.
#pragma once

#include <string>

#include "perplexity/comparison.h"

namespace assay::report {

/// One line per file in the order given, then one per pair of them. Divergences are nats.
std::string comparison_text(const perplexity::Comparison& comparison);

/// {"format": "assay.kld", "version": 1, "base", "architecture", "bits_per_weight", "n_ctx", "chunks",
///  "positions", "perplexity", "perplexity_error", "files": [{"file", "bits_per_weight", then each figure of
///  perplexity::ComparedFile, measured ones with NAME_error beside}, ...],
///  "pairs": [{"first", "second", "log_ratio", "log_ratio_error", "divergence_change",
///  "divergence_change_error"}]}
std::string comparison_json(const perplexity::Comparison& comparison);

/// The files, with the figures of the JSON as columns.
std::string comparison_csv(const perplexity::Comparison& comparison);

}  // namespace assay::report
