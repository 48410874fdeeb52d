// What a command was asked to do.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/sensitivity.h"
#include "cli/parse.h"
#include "recipe/recipe.h"

namespace assay::cli {

/// What `calibrate` does.
enum class Mode {
    Collect,     ///< a text: run the model
    Merge,       ///< no text, matrices: load, add, save; also converts
    Statistics,  ///< --show-statistics
    Version,
    Devices,  ///< --list-devices
};

/// Where the calibration text comes from: the last of -f, -bf and -p wins.
enum class TextFrom { Nowhere, File, BinaryFile, Prompt };

/// Levels of llama-imatrix since 2026.
enum class Verbosity { Results = 0, Errors = 1, Warnings = 2, Info = 3, Trace = 4 };

enum class NumbersAs { Text, Json, Csv };

/// Of all commands; a command reads what its options fill.
struct Arguments {
    bool help = false;
    std::optional<Mode> asked_mode;  ///< by an option; otherwise it follows from what is given
    Words files;                     ///< words that are neither options nor values
    Verbosity verbosity = Verbosity::Info;
    NumbersAs numbers = NumbersAs::Text;
    imatrix::Form statistics_form = imatrix::Form::Of2026;
    bool program = false;                 ///< inspect: the steps of the model
    std::optional<std::int64_t> layer{};  ///< only of this one
    std::vector<std::string> warnings;

    /// Of a run, all but the text itself. Model, metadata and threads serve the other commands as well.
    calibrate::Options options;
    bool ctx_size_given = false;
    TextFrom text_from = TextFrom::Nowhere;
    std::string text_source;  ///< a path, or for Prompt the text
    int n_texts = 0;          ///< given
    bool escape = false;
    bool add_special = true;
    std::filesystem::path report;  ///< empty: none
    bool checkpoint = true;        ///< the run keeps its state
    bool force = false;            ///< merge: chunks that several files hold

    // Settings that work together; parse_arguments() joins them in `options`.
    gguf::Overrides rotary;
    bool device_given = false;
    bool no_gpu_layers = false;
    bool one_gpu = false;
    std::optional<std::int64_t> main_gpu;
    std::optional<std::int64_t> threads_batch;

    std::filesystem::path output;                ///< of commands but calibrate; empty: theirs by default
    calibrate::SensitivityOptions sensitivity;   ///< all but the run
    recipe::Options recipe;                      ///< all but the measurements
    std::vector<std::string> sensitivity_files;  ///< these
    std::string rules = "tensor-types.txt";

    bool asks_for_recipe() const { return recipe.target_bpw || recipe.target_bytes; }
};

/// `words` without the names of program and command. In a run, variables LLAMA_ARG_* of the environment stand
/// in for options that are not given. With --help the rest is not looked at. Opens no file. Throws
/// Error{Usage}.
Arguments parse_arguments(const Words& words, Commands command = kCalibrate);

/// Throws Error{Usage} where what is given leads to nothing.
Mode choose_mode(const Arguments& arguments);

/// The text of options.text, read from where the arguments say, one trailing line feed dropped (files that
/// are not -bf), escapes replaced where asked. Throws Error{Io}, and Error{Usage} for an empty text.
std::string read_text(const Arguments& arguments);

/// Those asked for; one for each core for none or less than one.
int threads_of(const Arguments& arguments);

}  // namespace assay::cli
