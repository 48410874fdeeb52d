// `assay stats` and `--show-statistics`: how the energy of each weight's input is spread.
#include <array>

#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/output.h"
#include "core/error.h"
#include "report/csv.h"
#include "report/json.h"
#include "report/statistics_text.h"
#include "stats/activation.h"
#include "stats/coverage.h"
#include "stats/tensor_stats.h"

namespace assay::cli {

namespace {

constexpr std::array<OptionRow, 3> kRows{{
    {"--json", Takes::Nothing, Fate::Works, {}},
    {"--csv", Takes::Nothing, Fate::Works, {}},
    {"--help -h --usage", Takes::Nothing, Fate::Works, {}},
}};

void print_statistics(const std::filesystem::path& path, const imatrix::LoadOptions& load, NumbersAs numbers,
                      bool in_full) {
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(path, load, notes);
    const auto tensors = stats::tensor_stats(matrix, notes);
    const auto layers = stats::layer_stats(tensors);
    warn(notes);
    if (tensors.empty()) throw Error(ErrorKind::BadFile, path.string(), "no entry has any data");
    switch (numbers) {
        case NumbersAs::Csv: print(report::statistics_csv(tensors, stats::activation_stats(matrix))); break;
        case NumbersAs::Json:
            print(report::statistics_json(tensors, layers, stats::activation_stats(matrix),
                                          stats::activation_layers(matrix), stats::coverage(matrix)) +
                  "\n");
            break;
        case NumbersAs::Text:
            print(report::statistics_text(path.string(), tensors, layers));
            if (in_full)
                print(report::activation_text(stats::activation_stats(matrix),
                                              stats::activation_layers(matrix)));
            if (in_full) print(report::coverage_text(stats::coverage(matrix)));
            break;
    }
}

}  // namespace

int show_statistics(const std::filesystem::path& matrix, const imatrix::LoadOptions& load,
                    NumbersAs numbers) {
    print_statistics(matrix, load, numbers, false);
    return 0;
}

int stats_command(const Words& words) {
    const CommandLine line = normalise(words, kRows);
    const Given given(line.words, kRows, {});
    if (given.has("--help")) {
        print(help_text("stats"));
        return 0;
    }
    if (line.positional.size() != 1)
        throw Error(ErrorKind::Usage, "stats", "takes one matrix: assay stats FILE");
    const std::string_view chosen = given.winner({"--json", "--csv"});
    const NumbersAs numbers = chosen == "--json"  ? NumbersAs::Json
                              : chosen == "--csv" ? NumbersAs::Csv
                                                  : NumbersAs::Text;
    print_statistics(line.positional.front(), {}, numbers, true);
    return 0;
}

}  // namespace assay::cli
