// Ctrl-C and termination: the first asks the run to stop at a place where its result is whole, the second
// kills as usual.
#pragma once

namespace assay::cli {

/// The exit code of a command that stopped as asked: what shells return for a program that SIGINT ended.
inline constexpr int kStopped = 130;

/// From now on SIGINT and SIGTERM set a flag.
void catch_interrupts();
bool interrupted() noexcept;

}  // namespace assay::cli
