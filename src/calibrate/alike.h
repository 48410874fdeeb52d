// Ranks put their sums together, so all must run the same model with the same arithmetic.
#pragma once

#include "backend/backend.h"
#include "cluster/communicator.h"
#include "gguf/file.h"

namespace assay::calibrate {

/// Called by all ranks. Throws Error{Usage}, which names the first item that differs, on those that are not
/// as rank 0 is.
void check_alike(cluster::Communicator& communicator, const gguf::File& file,
                 const backend::Backend& backend);

}  // namespace assay::calibrate
