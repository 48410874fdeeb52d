// A mapped file that becomes shorter, or whose disk fails, has no bytes for pages still to be read, and the
// system answers with SIGBUS. The user gets a sentence instead.
#pragma once

namespace assay::cli {

/// From now on a page of a mapped file that cannot be read ends the process with exit code 1 and a sentence
/// that names the file. Nothing on disk is harmed by that: files are written beside and renamed.
void catch_lost_pages();

}  // namespace assay::cli
