// Brings the sums of all ranks together: along a tree, so that the time grows with the logarithm of their
// number. Sums are exact, so the tree's shape does not show.
#pragma once

#include "calibrate/collector.h"
#include "cluster/communicator.h"

namespace assay::calibrate {

/// All ranks at the same time: `sums` of rank 0 becomes that of all. Entries and similarity go together;
/// losses and what else there is stay as they are. Throws Stopped where the leader ends the round instead.
void gather_sums(cluster::Communicator& communicator, Collected& sums);

}  // namespace assay::calibrate
