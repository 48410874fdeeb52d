// An option is one row: its names, what follows it, what it does or why it does nothing, which commands take
// it, and the field that it fills. Parsing, --help, the README's tables, the environment and the warnings are
// made of the rows.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "cli/values.h"

namespace assay::cli {

struct Arguments;

/// Commands as bits.
using Commands = unsigned;
inline constexpr Commands kCalibrate = 1, kTokenize = 2, kInspect = 4, kStats = 8, kSimilarity = 16,
                          kReport = 32, kRecipe = 64, kSensitivity = 128, kDevices = 256, kKld = 512,
                          kText = 1024, kMerge = 2048;
inline constexpr Commands kRuns = kCalibrate | kSensitivity | kKld, kRecipes = kReport | kRecipe,
                          kMatrices = kCalibrate | kMerge, kEvery = 4095;

enum class Fate {
    Works,
    Ignored,  ///< accepted, since no result depends on it; one warning gives `text` as the reason
    Refused,  ///< an error gives `text`: it asks for another result, or for what cannot be done
};

/// Where --help and the README list it.
enum class Section { Text, Matrix, Rounding, Recipe, Machine, Own, Messages };

struct Option {
    std::string_view names;  ///< separated by blanks, the first is the one that errors name
    /// What follows: nothing when empty, words otherwise. In brackets: a word that may be missing, one of
    /// kSwitchWords.
    std::string_view value;
    std::string_view text;  ///< what it does; for options that do nothing, the reason
    /// Takes the value over. Of an ignored option: refuses values that are not without effect, or nullptr.
    void (*apply)(Arguments&, const Value&) = nullptr;
    Commands commands = kCalibrate;
    Section section = Section::Text;
    std::string_view variable = {};  ///< of the environment, stands in for the option in a run
    Fate fate = Fate::Works;

    constexpr std::string_view name() const { return names.substr(0, names.find(' ')); }
};

inline constexpr std::array<std::string_view, 9> kSwitchWords{"on",   "off",   "auto",    "0",       "1",
                                                              "true", "false", "enabled", "disabled"};

/// Those that work.
std::span<const Option> working_options() noexcept;
/// Those of llama-imatrix (llama.cpp and ik_llama.cpp) that do not.
std::span<const Option> foreign_options() noexcept;

/// Calls use(option) for every option of these commands.
template <typename Use> void for_each_option(Commands commands, Use use) {
    for (const auto& options : {working_options(), foreign_options()})
        for (const Option& option : options)
            if ((option.commands & commands) != 0) use(option);
}

/// Calls use(name) for each name of an option or a command.
template <typename Named, typename Use> void for_each_name(const Named& named, Use use) {
    for (std::string_view rest = named.names; !rest.empty();) {
        const std::size_t end = rest.find(' ');
        use(rest.substr(0, end));
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
}

}  // namespace assay::cli
