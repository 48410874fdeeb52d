// What `assay calibrate` was asked to do.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/job.h"
#include "cli/command_line.h"

namespace assay::cli {

enum class Mode {
    Collect,     ///< a text: run the model
    Merge,       ///< no text, matrices: load, add, save; also converts
    Statistics,  ///< --show-statistics
    Help,
    Version,
    Devices,  ///< --list-devices
};

/// Where the calibration text comes from: the last of -f, -bf and -p wins.
enum class TextFrom { Nowhere, File, BinaryFile, Prompt };

/// Levels of llama-imatrix since 2026.
enum class Verbosity { Results = 0, Errors = 1, Warnings = 2, Info = 3, Trace = 4 };

enum class NumbersAs { Text, Json, Csv };

struct Arguments {
    Mode mode = Mode::Collect;
    calibrate::Options options;  ///< all but the text itself
    bool ctx_size_given = false;
    TextFrom text_from = TextFrom::Nowhere;
    std::string text_source;  ///< a path, or for Prompt the text
    bool escape = false;
    std::filesystem::path report;  ///< empty: none
    NumbersAs numbers = NumbersAs::Text;
    Verbosity verbosity = Verbosity::Info;
    std::vector<std::string> warnings;
};

/// `words` without the names of program and command. Variables LLAMA_ARG_* of the environment stand in for
/// options that are not given. Opens no file. Throws Error{Usage}.
Arguments parse_arguments(const Words& words);

/// The text of options.text, read from where the arguments say, one trailing line feed dropped (files that
/// are not -bf), escapes replaced where asked. Throws Error{Io}, and Error{Usage} for an empty text.
std::string read_text(const Arguments& arguments);

}  // namespace assay::cli
