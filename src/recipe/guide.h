// What a quantiser weighs a rounding error by while it searches for scales, which is not only the importance:
// llama.cpp's also trusts large weights more. A type's error is measured after rounding with the same
// weighing, so that it is the error that the quantiser's file will have. Facts as of llama.cpp 2026-08.
#pragma once

#include <span>
#include <vector>

#include "quant/type_table.h"

namespace assay::recipe {

/// `row` and `importance` [n], n a multiple of the type's block; `importance` is empty where the quantiser
/// has no data. Fills `guide` [n] and returns it as an encoder wants it (quant/encode.h), or nullptr where
/// the quantiser uses the plain formula.
const float* quantiser_guide(quant::TypeId type, std::span<const float> row,
                             std::span<const float> importance, std::vector<float>& guide);

}  // namespace assay::recipe
