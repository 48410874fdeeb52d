// From the first word to the command.
#pragma once

#include "cli/command_line.h"

namespace assay::cli {

/// Runs the command that the first word names, or `calibrate` when it is an option or missing. Returns the
/// exit code. Throws Error.
int dispatch(const Words& words);

}  // namespace assay::cli
