// Memory for values: slots of a wave, columns of a group's arena. Private to the plan.
#pragma once

#include <vector>

#include "plan/walk.h"

namespace assay::plan {

/// What a value takes of each row.
struct Stored {
    std::int64_t cols = 0;
    backend::DType type = backend::DType::F32;
};

/// Values that outlive a stage, or that experts take, share slots one after another. `stored` by value id.
void assign_slots(WalkedValues& walked, const std::vector<Stored>& stored);

/// Places for what lives within the stage, first fit over the instructions that each spans; slots are
/// assigned. `operand`: what products take.
void place_locals(WalkedValues& walked, std::size_t index, const std::vector<Stored>& stored,
                  backend::DType operand);

}  // namespace assay::plan
