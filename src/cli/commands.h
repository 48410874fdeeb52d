// The commands of the program. Each returns the exit code; what goes wrong is thrown as Error.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "imatrix/file.h"

namespace assay::cli {

int calibrate_command(const Arguments& arguments);
int tokenize_command(const Arguments& arguments);
int text_command(const Arguments& arguments);
int inspect_command(const Arguments& arguments);
int stats_command(const Arguments& arguments);
int similarity_command(const Arguments& arguments);
int recipe_command(const Arguments& arguments);
int sensitivity_command(const Arguments& arguments);
int kld_command(const Arguments& arguments);
int report_command(const Arguments& arguments);
int devices_command(const Arguments& arguments);

/// Of files, and of --in-file without a text.
int merge_matrices(const Arguments& arguments);
/// What --show-statistics asks of `calibrate`.
int show_statistics(const Arguments& arguments);

struct LabelledMatrix {
    std::string label;
    imatrix::Matrix matrix;
};

/// What a page may say beyond the matrices.
struct ReportExtras {
    std::vector<std::string> expected;  ///< weights of the model that should have data (stats::coverage)
    std::string recipe;                 ///< text
};

/// Writes the page about these matrices; the first is compared with each of the others.
void write_report(const std::filesystem::path& page, std::span<const LabelledMatrix> matrices,
                  const ReportExtras& extras);

/// What recipe::Options takes of --sensitivity. Throws Error.
std::vector<recipe::SensitivityFile> read_sensitivities(const Arguments& arguments);

/// "warning: SENTENCE" on stderr for each.
void warn(std::span<const std::string> sentences);

/// The chunk size on the command line, when there is one.
imatrix::LoadOptions load_options(const Arguments& arguments);

/// "wrote PATH in the GGUF format, N chunks"; tells why a name without .gguf got the legacy format.
std::string written_text(const std::filesystem::path& path, imatrix::Format format, std::int64_t chunks,
                         bool format_given);

}  // namespace assay::cli
