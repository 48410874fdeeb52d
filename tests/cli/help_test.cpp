#include "cli/help.h"

#include <gtest/gtest.h>
#include <sstream>
#include <string>

namespace assay::cli {
namespace {

TEST(Help, HasEveryOptionThatWorks) {
    for (const Command& command : commands()) {
        const std::string help = help_text(command);
        EXPECT_TRUE(help.starts_with("usage: assay ")) << help;
        for_each_option(command.bit, [&](const Option& option) {
            const bool listed = help.find(names_text(option) + "\n") != std::string::npos ||
                                help.find(names_text(option) + "  ") != std::string::npos;
            EXPECT_EQ(listed, option.fate == Fate::Works) << command.names << " " << option.names;
        });
    }
}

TEST(Help, FitsATerminal) {
    for (const Command& command : commands()) {
        std::istringstream lines(help_text(command));
        for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
    }
}

TEST(Help, NamesVariablesWhereTheyAreHeard) {
    EXPECT_NE(help_text(commands()[0]).find("[LLAMA_ARG_CTX_SIZE]"), std::string::npos);
    EXPECT_EQ(help_text(commands()[1]).find("[LLAMA_ARG_MODEL]"), std::string::npos);
}

TEST(Version, IsANumber) { EXPECT_TRUE(version_text().starts_with("assay ")) << version_text(); }

}  // namespace
}  // namespace assay::cli
