#include "cli/help.h"

#include <gtest/gtest.h>
#include <sstream>
#include <string>

#include "cli/options_table.h"
#include "core/error.h"

namespace assay::cli {
namespace {

TEST(Help, NamesEveryOptionThatWorks) {
    std::string help = help_text("calibrate");
    for (char& c : help)
        if (c == ',' || c == '\n') c = ' ';
    for (const OptionRow& row : calibrate_options()) {
        if (row.fate != Fate::Works) continue;
        std::istringstream names{std::string(row.names)};
        for (std::string name; names >> name;)
            EXPECT_NE(help.find(" " + name + " "), std::string::npos) << name;
    }
}

TEST(Help, FitsATerminal) {
    for (const char* command : {"calibrate", "tokenize", "inspect", "stats", "recipe", "sensitivity",
                                "similarity", "report", "devices"}) {
        std::istringstream lines(help_text(command));
        for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
    }
    EXPECT_THROW(help_text("nothing"), Error);
}

TEST(Version, IsANumber) { EXPECT_TRUE(version_text().starts_with("assay ")) << version_text(); }

}  // namespace
}  // namespace assay::cli
