// Every spelling that `assay calibrate` knows: its own options, those of llama-imatrix (llama.cpp and
// ik_llama.cpp, 2026-08) that work here, and the rest of what those programs take, with the reason why it has
// no effect or is refused. Names only; what values mean is the matter of arguments.h.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace assay::cli {

/// What follows an option on the command line.
enum class Takes {
    Nothing,
    Value,   ///< the next word, whatever it looks like
    Switch,  ///< the next word if it is on, off, auto, 0, 1, true or false
    Scaled,  ///< the next word, and the one after it if that is a number (the peers differ)
    Two,
};

enum class Fate {
    Works,    ///< handed on under its first long name
    Ignored,  ///< accepted; one warning gives `reason`
    Refused,  ///< an error gives `reason`
};

struct OptionRow {
    std::string_view names;  ///< separated by blanks; the first is the canonical one
    Takes takes;
    Fate fate;
    std::string_view reason;  ///< empty for options that work
};

/// What peers document or their common parser takes, and ours.
std::span<const OptionRow> calibrate_options() noexcept;

/// The row that has `name` among its names; nullptr for none. `name` begins with a dash.
const OptionRow* find_option(std::span<const OptionRow> rows, std::string_view name) noexcept;

/// The first name of the row.
std::string_view canonical_name(const OptionRow& row) noexcept;

/// The known name with the fewest edits (insertion, deletion, replacement, exchange of neighbours: Damerau
/// 1964); empty when even that differs in more than a third of its letters.
std::string_view nearest_name(std::span<const OptionRow> rows, std::string_view name);

}  // namespace assay::cli
