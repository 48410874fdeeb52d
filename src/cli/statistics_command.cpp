// `assay stats` and `--show-statistics`: how the energy of each weight's input is spread.
#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "recipe/policy.h"
#include "report/csv.h"
#include "report/json.h"
#include "report/statistics_text.h"
#include "stats/activation.h"
#include "stats/coverage.h"
#include "stats/tensor_stats.h"

namespace assay::cli {

namespace {

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

int show_statistics(const std::filesystem::path& matrix, const imatrix::LoadOptions& load,
                    NumbersAs numbers) {
    print_statistics(matrix, load, numbers, false);
    return 0;
}

int stats_command(const Arguments& arguments) {
    print_statistics(arguments.files.front(), {}, arguments.numbers, true);
    return 0;
}

}  // namespace assay::cli
