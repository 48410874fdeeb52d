// Running the program as a user would, for the tests of this folder.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/wait.h>

#include "support/temp_dir.h"

namespace assay::cli {

struct Outcome {
    int code = -1;
    std::string out, err;
};

inline std::string text_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Runs a shell line in which ASSAY is the program; files named without a folder are in `folder`.
inline Outcome shell(const test::TempDir& folder, const std::string& line) {
    const std::string out = (folder / "stdout").string(), err = (folder / "stderr").string();
    const std::string command = fmt::format("cd '{}' && ASSAY='{}' && {{ {} ; }} >'{}' 2>'{}'",
                                            folder.path().string(), ASSAY_PROGRAM, line, out, err);
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(out), text_of(err)};
}

}  // namespace assay::cli
