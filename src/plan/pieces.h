// Which weights are loaded together. Private to the plan.
#pragma once

#include <vector>

#include "plan/plan.h"

namespace assay::plan {

/// The pieces of all stages in the order of use; with `vocabulary` those of the output projection behind
/// them.
std::vector<Piece> list_pieces(const gguf::File& file, const model::Program& program,
                               const std::vector<StagePlan>& stages, std::int64_t operand_bytes,
                               bool vocabulary);

}  // namespace assay::plan
