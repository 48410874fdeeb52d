// From words to options, and from these to arguments.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/option.h"

namespace assay::cli {

using Words = std::vector<std::string>;

struct Given {
    const Option* option;
    Value value;
};

struct CommandLine {
    std::vector<Given> given;           ///< as typed; what the environment gave comes first
    Words files;                        ///< words that are neither options nor values
    std::vector<std::string> warnings;  ///< one for each option without effect, however often it is given
};

/// `words` without the names of program and command. Underscores in long names count as dashes; NAME=VALUE is
/// NAME VALUE. Throws Error{Usage} for a refused option, a missing value, and an unknown option, with the
/// nearest known name.
CommandLine read_command_line(const Words& words, Commands command);

/// Puts the LLAMA_ARG_* of the environment before the line where no option was typed for them, and names all
/// that are not heard in one warning. Empty ones count as absent.
void hear_environment(CommandLine& line, Commands command);

/// The option with that name; nullptr for none.
const Option* find_option(std::string_view name, Commands command);

/// The known name with the fewest edits (insertion, deletion, replacement, exchange of neighbours: Damerau
/// 1964); empty when even that differs in more than a third of its letters.
std::string_view nearest_name(std::string_view name, Commands command);

}  // namespace assay::cli
