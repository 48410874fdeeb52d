// Texts of --help and --version.
#pragma once

#include <string>

namespace assay::cli {

std::string help_text();
std::string version_text();

}  // namespace assay::cli
