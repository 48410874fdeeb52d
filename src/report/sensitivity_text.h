// What a sensitivity run found, for people and for other programs.
#pragma once

#include <string>

#include "perplexity/sensitivity.h"

namespace assay::report {

/// One row per unit, the one with the largest divergence first. Divergences are nats.
std::string sensitivity_text(const perplexity::Sensitivity& sensitivity);

/// {"format": "assay.sensitivity", "version": 1, "model", "architecture", "by", "n_ctx", "chunks",
/// "positions",
///  "perplexity", "perplexity_error", "units": [{"unit", "type", "weights", "perplexity_change",
///  "perplexity_change_error", "divergence", "divergence_error", "tensors": [...]}, ...],
///  "unrounded": [{"type", "tensors": [...]}]}, units in the run's order; what recipes read.
std::string sensitivity_json(const perplexity::Sensitivity& sensitivity);

/// In the run's order, without the names of tensors.
std::string sensitivity_csv(const perplexity::Sensitivity& sensitivity);

}  // namespace assay::report
