// The tables of `--show-statistics`.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stats/activation.h"
#include "stats/coverage.h"
#include "stats/tensor_stats.h"

namespace assay::report {

/// Both tables as llama-imatrix prints them, tabs and rules included; `path` as the user gave it.
std::string statistics_text(std::string_view path, std::span<const stats::TensorStats> tensors,
                            std::span<const stats::LayerStats> layers);

/// One row per weight about the mean activations, then one per layer; `nan` where a figure is not defined.
std::string activation_text(std::span<const stats::ActivationStats> tensors,
                            std::span<const stats::ActivationLayer> layers);

/// The verdict and, one line each, what it rests on.
std::string coverage_text(const stats::Coverage& coverage);

}  // namespace assay::report
