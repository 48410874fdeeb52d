// The same numbers as JSON text, for `--json` and for the page of html.h.
#pragma once

#include <span>
#include <string>

#include "similarity/similarity.h"
#include "stats/activation.h"
#include "stats/coverage.h"
#include "stats/tensor_stats.h"

namespace assay::report {

/// {"tensors": [...], "layers": [...], "activations": [...], "activation_layers": [...], "coverage": {...}}.
/// Numbers that are not finite and figures that are not defined are null; bytes that are not UTF-8 become
/// U+FFFD.
std::string statistics_json(std::span<const stats::TensorStats> tensors,
                            std::span<const stats::LayerStats> layers,
                            std::span<const stats::ActivationStats> activations,
                            std::span<const stats::ActivationLayer> activation_layers,
                            const stats::Coverage& coverage);

/// {"layer": [{"layer": L, "cos_sim": c, "tokens": n}, ...], "attention": [...], "ffn": [...], and
/// the same of the residual stream, with "relative_change": "residual", "residual_attention",
/// "residual_ffn"}, by layer.
std::string similarity_json(const similarity::Similarity& similarity);

}  // namespace assay::report
