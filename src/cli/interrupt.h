// Ctrl-C, termination and a terminal that goes away: the first asks the run to stop at a place where its
// result is whole, a second Ctrl-C or termination kills as usual.
#pragma once

namespace assay::cli {

/// From now on SIGINT, SIGTERM and SIGHUP set a flag; SIGHUP not where it is ignored, as under nohup.
void catch_interrupts();
bool interrupted() noexcept;
/// The exit code of a command that stopped as asked: what shells return for a program that the signal ended,
/// 130, 143 or 129.
int stopped_code() noexcept;

}  // namespace assay::cli
