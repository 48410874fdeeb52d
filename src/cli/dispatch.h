// From the first word to the command: names, help, options and the number of files are checked here, for all
// commands alike.
#pragma once

#include <span>

#include "cli/arguments.h"

namespace assay::cli {

struct Command {
    std::string_view names;  ///< separated by blanks, the first is the one that errors name
    Commands bit;
    std::string_view usage;  ///< what follows "usage: assay "
    std::string_view about;
    std::string_view notes;           ///< after the options
    std::size_t least = 0, most = 0;  ///< files that are given without an option
    std::string_view takes;           ///< read after "NAME: takes "
    int (*run)(const Arguments&);

    constexpr std::string_view name() const { return names.substr(0, names.find(' ')); }
};

std::span<const Command> commands() noexcept;

/// Runs the command that the first word names, or `calibrate` when it is an option or missing. Returns the
/// exit code. Throws Error.
int dispatch(const Words& words);

}  // namespace assay::cli
