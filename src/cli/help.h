// What --help and --version print.
#pragma once

#include <string>
#include <string_view>

#include "cli/dispatch.h"

namespace assay::cli {

/// Usage, purpose and the options of a command, made of their rows.
std::string help_text(const Command& command);

/// "-c, --ctx-size N": all names, the short ones first, and what follows.
std::string names_text(const Option& option);

std::string_view to_string(Section section);

std::string version_text();

}  // namespace assay::cli
