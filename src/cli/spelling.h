// Spellings that a command-line library does not take: long names behind one dash, underscores for dashes;
// and the nearest known name for what is unknown.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::cli {

/// The option's name as it is known here ("-ofreq" -> "--output-frequency", "--ctx_size" -> "--ctx-size");
/// other words come back as they are.
std::string canonical_name(std::string_view name);

/// Whether a word of the command line is an option rather than a value: "-t", "--model", but not "-", "-1",
/// "-0.5".
bool is_option(std::string_view word) noexcept;

/// The known name with the fewest edits (Levenshtein 1966), or an empty string when none is near.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

}  // namespace assay::cli
