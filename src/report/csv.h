// Tables as comma-separated values (RFC 4180): one heading line, then one line per row, "\n" endings.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stats/activation.h"
#include "stats/tensor_stats.h"

namespace assay::report {

/// printable() text, in quotes where a comma or a quote asks for them.
std::string csv_field(std::string_view text);

/// Numbers are written with as many digits as reading them back needs; absent ones are empty. `activations`
/// add columns of their own, by name; empty: none.
std::string statistics_csv(std::span<const stats::TensorStats> tensors,
                           std::span<const stats::ActivationStats> activations = {});

}  // namespace assay::report
