// Which weights are loaded together. Private to the plan.
#pragma once

#include <vector>

#include "plan/plan.h"

namespace assay::plan {

/// The pieces of all stages in the order of use, then those of output projections.
std::vector<Piece> list_pieces(const gguf::File& file, const std::vector<StagePlan>& stages,
                               const std::vector<const model::Output*>& projections,
                               std::int64_t operand_bytes);

}  // namespace assay::plan
