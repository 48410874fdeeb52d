// Whether this process is one of several, and its way to the others.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/communicator.h"

namespace assay::cluster {

/// Reads a variable of the environment.
using Environment = std::function<std::optional<std::string>(const char*)>;

/// How many ranks a launcher (Open MPI's mpirun, PMI, PMIx, srun) says it has started; 1 where there is none.
int launched_ranks(const Environment& environment);

/// Null where this process was not started as one of several. Opens the module for MPI, beside the program or
/// in its libexec folder; throws Error{Unsupported} where it is not there or cannot be loaded: as many single
/// runs would write the same file.
std::unique_ptr<Communicator> join_cluster();

}  // namespace assay::cluster
