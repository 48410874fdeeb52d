// From the words of the command line to words that a parser of long options understands: `-ngl 99`,
// `--ctx_size=4096` and `-ofreq 10` under their canonical names, options without effect taken out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/options_table.h"

namespace assay::cli {

using Words = std::vector<std::string>;

struct CommandLine {
    Words words;       ///< canonical long names, each followed by its value as a word of its own
    Words positional;  ///< words that are neither options nor values
    std::vector<std::string> warnings;  ///< one for each option without effect, however often it is given
};

/// `words` without the program's name. Underscores in long names count as dashes; NAME=VALUE is NAME VALUE.
/// Throws Error{Usage} for a refused option, a missing value, and an unknown option, with the nearest known
/// name.
CommandLine normalise(const Words& words, std::span<const OptionRow> rows);

}  // namespace assay::cli
