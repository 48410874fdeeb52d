// The walk over a program that finds where its values live. Private to the engine's plan.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "plan/plan.h"

namespace assay::plan {

/// What the walk finds. Indices are value ids; copies that similarity needs come behind the program's own.
struct WalkedValues {
    std::vector<StagePlan> stages;
    std::vector<Slot> slots;
    std::vector<std::int32_t> slot_of;
    std::vector<std::pair<std::size_t, std::size_t>> lifetimes;
};

/// Types that operations of a kind of device work in.
struct WorkingTypes {
    backend::DType operand = backend::DType::F32;
    backend::DType activation = backend::DType::F32;
};

WalkedValues walk_values(const model::Program& program, const WorkingTypes& types,
                         const PassOptions& options);

/// The instructions that similarity adds to those of the steps: copies and comparisons. Adds values.
void add_taps(const model::Program& program, std::vector<StagePlan>& stages,
              std::vector<model::ValueInfo>& values);

}  // namespace assay::plan
