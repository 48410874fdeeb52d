// A mapped file that becomes shorter, or whose disk fails, has no bytes for pages still to be read, and the
// system answers with SIGBUS. The user gets a sentence instead.
#pragma once

#include <filesystem>

namespace assay::cli {

/// From now on a mapped page that cannot be read ends the process with exit code 1 and a sentence that names
/// this file, the model of the command. Nothing on disk is harmed by that: files are written beside and
/// renamed.
void tell_when_lost(const std::filesystem::path& file);

}  // namespace assay::cli
