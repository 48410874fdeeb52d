// Weights that are no numbers: found by a walk over the file, before a run or to explain why one went wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "gguf/file.h"

namespace assay::calibrate {

using Tensors = std::vector<const gguf::Tensor*>;

Tensors all_tensors(const gguf::File& model);

/// Those that nothing observes in a run without perplexity: the last layer's and those of the output.
Tensors unobserved_tensors(const gguf::File& model, std::size_t n_layers);

/// Throws Error{Numeric} with the name of the first of these that holds a NaN or an infinity, and its place.
/// Tensors may be larger than memory. `n_threads` 0: one per core.
void check_tensors(const gguf::File& model, const Tensors& tensors, int n_threads);

/// Explains numbers that are not finite: every layer's inputs are observed, so they arose in the layer of the
/// weight that `error` is about (or behind the last layer when it is about none), or in the one before.
/// Throws Error{Numeric} with the tensor there that holds no number, or else with the error itself and that
/// the weights are finite.
[[noreturn]] void explain_not_finite(const gguf::File& model, std::size_t n_layers, const Error& error,
                                     int n_threads);

}  // namespace assay::calibrate
