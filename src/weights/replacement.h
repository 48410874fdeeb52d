// Other bytes for some weights: what makes a variant of a model.
#pragma once

#include <cstdint>
#include <string>

#include "backend/backend.h"

namespace assay::weights {

/// Called from one thread at a time: the pass's own before its loader starts, then the loader's.
class Replacement {
  public:
    virtual ~Replacement() = default;

    virtual bool replaces(const std::string& weight) const = 0;
    /// Asked for what it replaces. `plain` is rows [first_row, first_row + plain.n_out) of the tensor, all
    /// its matrices counted through; the result has the same shape. Its bytes stay until release().
    virtual backend::WeightSource replace(const std::string& weight, std::int64_t first_row,
                                          const backend::WeightSource& plain) = 0;
    /// What replace() gave is no longer needed.
    virtual void release() = 0;
};

}  // namespace assay::weights
