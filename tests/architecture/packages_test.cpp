// The packages that CMake names when something is missing are those that the scripts install.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "core/file.h"

namespace assay {
namespace {

using Names = std::set<std::string>;

/// The first group of every match in a file of the source tree.
Names matches(const std::string& file, const std::string& expression) {
    const std::string text = read_file(std::string(ASSAY_SOURCE_DIR) + "/" + file);
    const std::regex pattern(expression);
    Names names;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern); it != std::sregex_iterator();
         ++it)
        names.insert((*it)[1]);
    return names;
}

/// The words of a list of scripts/lib.sh.
Names listed(const std::string& list) {
    Names words;
    for (const std::string& text : matches("scripts/lib.sh", list + R"(=\(([^)]*)\))")) {
        std::istringstream in(text);
        for (std::string word; in >> word;) words.insert(word);
    }
    return words;
}

TEST(Packages, ThoseThatCmakeNamesAreInstalled) {
    Names named = matches("cmake/dependencies.cmake", R"(\n *assay_find(?:_library)?\((\S+))");
    named.merge(matches("cmake/dependencies.cmake", R"(APPEND ASSAY_MISSING (lib\S+)\))"));
    named.merge(matches("cmake/mpi.cmake", R"(apt-get install (lib\S+))"));
    ASSERT_GE(named.size(), 10);
    Names installed = listed("build_packages");
    installed.merge(listed("test_packages"));
    installed.insert("libomp-dev");  // g++ is installed, which has OpenMP within
    for (const std::string& name : named) EXPECT_TRUE(installed.contains(name)) << name;
    for (const std::string& name : installed) {
        if (name.starts_with("lib")) {
            EXPECT_TRUE(named.contains(name)) << name;
        }
    }
}

}  // namespace
}  // namespace assay
