// The command line of a calibration, a merge or statistics, as options of the job.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/job.h"

namespace assay::cli {

enum class Mode { Calibrate, Merge, Statistics, Help, Version };

struct Arguments {
    Mode mode = Mode::Calibrate;
    calibrate::Options job;  ///< without the text, which is read by load_text()
    std::optional<std::filesystem::path> text_file;
    bool text_is_raw = false;  ///< -bf: nothing stripped
    std::optional<std::string> prompt;
    bool escape = false;
    int verbosity = 3;  ///< 0 output, 1 errors, 2 warnings, 3 information
    bool json = false;
    bool csv = false;
    std::optional<std::filesystem::path> report;
    bool n_ctx_given = false;
    std::vector<std::string> warnings;  ///< of options without effect
};

/// Words behind the program's name. Throws Error{Usage}: an unknown option with the nearest known one, a
/// missing or impossible value, options that contradict each other.
Arguments parse_arguments(const std::vector<std::string>& words);

/// Fills job.text and job.dataset from file or prompt. Throws Error{Io}, Error{Usage} for an empty text.
void load_text(Arguments& arguments);

/// "20G", "400m", "1.5t", "1024": bytes, powers of 1024. Throws Error{Usage} naming `option`.
std::uint64_t parse_size(std::string_view text, std::string_view option);

/// "\n", "\t", "\\", "\'", "\"", "\xHH" as characters; other backslashes stay.
std::string unescape(std::string_view text);

}  // namespace assay::cli
