#include "cli/dispatch.h"

#include <array>
#include <fmt/format.h>

#include "cli/commands.h"
#include "core/error.h"

namespace assay::cli {

namespace {

struct Command {
    std::string_view name;
    int (*run)(const Words&);
};

constexpr std::array<Command, 11> kCommands{{
    {"calibrate", calibrate_command},
    {"tokenize", tokenize_command},
    {"tokenise", tokenize_command},
    {"inspect", inspect_command},
    {"stats", stats_command},
    {"statistics", stats_command},
    {"recipe", recipe_command},
    {"sensitivity", sensitivity_command},
    {"similarity", similarity_command},
    {"report", report_command},
    {"devices", devices_command},
}};

[[noreturn]] void unknown(const std::string& word) {
    std::string names;
    for (const Command& command : kCommands)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", command.name);
    throw_error(ErrorKind::Usage, word, "unknown command; there are {}", names);
}

}  // namespace

int dispatch(const Words& words) {
    if (words.empty() || words.front().starts_with('-')) return calibrate_command(words);
    if (words.front() == "help") return calibrate_command({"--help"});
    for (const Command& command : kCommands)
        if (command.name == words.front()) return command.run(Words(words.begin() + 1, words.end()));
    unknown(words.front());
}

}  // namespace assay::cli
