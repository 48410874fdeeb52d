// The commands, one function each. Words are those behind the command's name. They return the exit code and
// throw Error for everything that ends them.
#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"

namespace assay::cli {

/// The command without a name: calibrates, merges or prints statistics.
int run_calibrate(const std::vector<std::string>& words);
int run_merge(const Arguments& arguments);
int run_statistics(const Arguments& arguments);

int run_tokenize(const std::vector<std::string>& words);
int run_inspect(const std::vector<std::string>& words);
int run_stats(const std::vector<std::string>& words);
int run_similarity(const std::vector<std::string>& words);
int run_report(const std::vector<std::string>& words);
int run_devices(const std::vector<std::string>& words);

/// Writes a report page about these matrix files.
void write_report(const std::vector<std::filesystem::path>& matrices, const std::filesystem::path& output);

}  // namespace assay::cli
