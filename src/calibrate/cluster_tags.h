// Kinds of messages between the ranks of a run.
#pragma once

namespace assay::calibrate {

enum ClusterTag {
    kReady,       ///< to the leader, once: how long a wave may be
    kToLeader,    ///< leader.h
    kDeal,        ///< from the leader: what to do next
    kStop,        ///< from the leader: drop the wave under way
    kRing,        ///< share_ring.h
    kSumsWanted,  ///< gather.h
    kSums,
};

}  // namespace assay::calibrate
