// `assay sensitivity`: which parts of a model mind being rounded.
#include <algorithm>
#include <fmt/format.h>
#include <vector>

#include "calibrate/sensitivity.h"
#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/lost_file.h"
#include "cli/output.h"
#include "cli/run_observer.h"
#include "cli/values.h"
#include "core/error.h"
#include "core/file.h"
#include "recipe/policy.h"
#include "report/sensitivity_text.h"

namespace assay::cli {

namespace {

constexpr OptionRow kOwnRows[] = {
    {"--type", Takes::Value, Fate::Works, {}},
    {"--by", Takes::Value, Fate::Works, {}},
    {"--imatrix", Takes::Value, Fate::Works, {}},
};

/// Options of a calibration that mean the same here.
constexpr std::string_view kShared[] = {
    "--model",         "--file",    "--binary-file", "--prompt",    "--escape", "--no-escape",   "--ctx-size",
    "--parse-special", "--chunk",   "--chunks",      "--output",    "--json",   "--csv",         "--threads",
    "--threads-batch", "--device",  "--gpu-layers",  "--precision", "--isa",    "--override-kv", "--memory",
    "--verbosity",     "--verbose", "--log-disable", "--help",
};

std::vector<OptionRow> rows() {
    std::vector<OptionRow> rows(std::begin(kOwnRows), std::end(kOwnRows));
    for (const std::string_view name : kShared) rows.push_back(*find_option(calibrate_options(), name));
    return rows;
}

calibrate::UnitBy parse_by(const std::string& word) {
    using calibrate::UnitBy;
    for (const UnitBy by : {UnitBy::Layer, UnitBy::Kind, UnitBy::Tensor})
        if (word == calibrate::to_string(by)) return by;
    throw_error(ErrorKind::Usage, "--by", "'{}' is not layer, kind or tensor", word);
}

std::vector<quant::TypeId> parse_types(const Words& lists) {
    std::vector<quant::TypeId> types;
    for (const std::string& list : lists)
        for (const std::string& word : split_list(list)) {
            const auto type = recipe::parse_type(word);
            if (!type) throw_error(ErrorKind::Usage, "--type", "unknown type '{}'", word);
            if (std::ranges::find(types, *type) == types.end()) types.push_back(*type);
        }
    return types;
}

/// The words that calibrate's parser is to read: all but the own options and their values.
Words shared_words(const Words& words) {
    Words shared;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (find_option(kOwnRows, words[i]) != nullptr) {
            ++i;
            continue;
        }
        shared.push_back(words[i]);
        const OptionRow* row = find_option(calibrate_options(), words[i]);
        if (row != nullptr && row->takes == Takes::Value && i + 1 < words.size())
            shared.push_back(words[++i]);
    }
    return shared;
}

void print_table(const perplexity::Sensitivity& table, NumbersAs numbers) {
    switch (numbers) {
        case NumbersAs::Json: print(report::sensitivity_json(table)); break;
        case NumbersAs::Csv: print(report::sensitivity_csv(table)); break;
        case NumbersAs::Text: print(report::sensitivity_text(table)); break;
    }
}

}  // namespace

int sensitivity_command(const Words& words) {
    const std::vector<OptionRow> known = rows();
    const CommandLine line = normalise(words, known);
    const Given given(line.words, known, {});
    if (given.has("--help")) {
        print(help_text("sensitivity"));
        return 0;
    }
    if (given.winner({"--file", "--binary-file", "--prompt"}).empty() || !line.positional.empty())
        throw Error(ErrorKind::Usage, "sensitivity",
                    "takes a model, a text and a type: assay sensitivity -m MODEL -f TEXT --type q4_K");
    Arguments arguments = parse_arguments(shared_words(line.words));
    calibrate::SensitivityOptions options;
    options.types = parse_types(given.all("--type"));
    if (const auto by = given.last("--by")) options.by = parse_by(*by);
    options.matrix = given.last("--imatrix").value_or("");
    const auto output = given.last("--output");
    if (output) {
        std::vector<std::filesystem::path> kept{arguments.options.model, options.matrix};
        if (arguments.text_from != TextFrom::Prompt) kept.emplace_back(arguments.text_source);
        check_writable(*output, kept);
    }
    if (arguments.verbosity >= Verbosity::Warnings) warn(arguments.warnings);
    options.run = arguments.options;
    options.run.text = read_text(arguments);

    RunObserver observer(arguments);
    catch_interrupts();
    tell_when_lost(options.run.model);
    const calibrate::SensitivityResult result = calibrate::run_sensitivity(options, observer);
    observer.end_progress();
    if (result.stopped)
        observer.tell(Verbosity::Errors,
                      fmt::format("assay: stopped as asked after {} chunks", result.table.n_chunks));
    if (result.table.n_chunks == 0) return kStopped;
    if (output) {
        const std::string text = report::sensitivity_json(result.table);
        write_file_atomically(*output, std::as_bytes(std::span(text)));
        observer.tell(Verbosity::Errors, "wrote " + *output);
    }
    print_table(result.table, arguments.numbers);
    observer.tell(Verbosity::Info, fmt::format("{} tokens through {} variants in {}", result.tokens,
                                               result.table.units.size(), time_text(result.seconds)));
    return result.stopped ? kStopped : 0;
}

}  // namespace assay::cli
