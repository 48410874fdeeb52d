// `assay stats` and `--show-statistics`: how the energy of each weight's input is spread.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "recipe/policy.h"
#include "report/csv.h"
#include "report/entry_table_text.h"
#include "report/json.h"
#include "report/statistics_text.h"
#include "stats/activation.h"
#include "stats/coverage.h"
#include "stats/entry_table.h"
#include "stats/tensor_stats.h"

namespace assay::cli {

namespace {

/// The tables since October 2026; the exit code.
int print_entry_table(const std::filesystem::path& path, const imatrix::LoadOptions& load) {
    imatrix::Notes notes;
    const stats::EntryTable table = stats::entry_table(imatrix::load(path, load, notes), notes);
    warn(notes);
    if (table.rows.empty()) throw Error(ErrorKind::BadFile, path.string(), "no entry has any data");
    print(report::entry_table_text(path.string(), table));
    if (table.gap.empty()) return 0;
    say(table.gap);
    return 1;
}

/// The tables until then, or numbers for programs; with `in_full` also what llama-imatrix did not tell then.
void print_statistics(const std::filesystem::path& path, const imatrix::LoadOptions& load, NumbersAs numbers,
                      bool in_full) {
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(path, load, notes);
    const auto tensors = stats::tensor_stats(matrix, notes);
    const auto layers = stats::layer_stats(tensors);
    stats::Coverage coverage = stats::coverage(matrix);
    coverage.demanding_types = recipe::types_needing_data();
    warn(notes);
    if (tensors.empty()) throw Error(ErrorKind::BadFile, path.string(), "no entry has any data");
    switch (numbers) {
        case NumbersAs::Csv: print(report::statistics_csv(tensors, stats::activation_stats(matrix))); break;
        case NumbersAs::Json:
            print(report::statistics_json(tensors, layers, stats::activation_stats(matrix),
                                          stats::activation_layers(matrix), coverage) +
                  "\n");
            break;
        case NumbersAs::Text:
            print(report::statistics_text(path.string(), tensors, layers));
            if (in_full)
                print(report::activation_text(stats::activation_stats(matrix),
                                              stats::activation_layers(matrix)));
            if (in_full) print(report::coverage_text(coverage));
            break;
    }
}

}  // namespace

int show_statistics(const Arguments& arguments) {
    const auto& files = arguments.options.in_files;
    if (files.size() > 1) say(fmt::format("warning: statistics are those of {} alone", files[0].string()));
    if (arguments.numbers == NumbersAs::Text && arguments.statistics_form == imatrix::Form::Of2026)
        return print_entry_table(files[0], load_options(arguments));
    print_statistics(files[0], load_options(arguments), arguments.numbers, false);
    return 0;
}

int stats_command(const Arguments& arguments) {
    print_statistics(arguments.files.front(), {}, arguments.numbers, true);
    return 0;
}

}  // namespace assay::cli
