// The ranks of a machine find the ring through which they stream the model together.
#pragma once

#include <memory>

#include "calibrate/job.h"
#include "cluster/communicator.h"
#include "gguf/host_ring.h"
#include "plan/plan.h"

namespace assay::calibrate {

/// As large as a stream for `n_devices` of one rank is. All ranks of a machine call this at the same time.
/// Null where this rank is alone there, or the ring cannot be had: then the observer is told, unless it is
/// another's failure.
std::unique_ptr<gguf::HostRing> share_ring(const plan::PassPlan& pass, std::size_t n_devices,
                                           cluster::Communicator& communicator, Observer& observer);

}  // namespace assay::calibrate
