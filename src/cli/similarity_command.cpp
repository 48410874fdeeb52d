// `assay similarity`: the layer similarities that a run with -lsim left in its matrix.
#include <algorithm>
#include <array>

#include "calibrate/extra.h"
#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/output.h"
#include "core/error.h"
#include "report/json.h"
#include "report/lines.h"

namespace assay::cli {

namespace {

constexpr std::array<OptionRow, 2> kRows{{
    {"--json", Takes::Nothing, Fate::Works, {}},
    {"--help -h --usage", Takes::Nothing, Fate::Works, {}},
}};

}  // namespace

int similarity_command(const Words& words) {
    const CommandLine line = normalise(words, kRows);
    const Given given(line.words, kRows, {});
    if (given.has("--help")) {
        print(help_text("similarity"));
        return 0;
    }
    if (line.positional.size() != 1)
        throw Error(ErrorKind::Usage, "similarity", "takes one matrix: assay similarity FILE");
    const std::string& path = line.positional.front();
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(path, {}, notes);
    const similarity::Similarity found = calibrate::read_similarity(matrix.extra);
    const bool empty = std::all_of(similarity::kKinds.begin(), similarity::kKinds.end(),
                                   [&](similarity::Kind kind) { return found.sums(kind).empty(); });
    if (empty)
        throw Error(ErrorKind::BadFile, path,
                    "holds no layer similarity; a run with -lsim into a .gguf file stores it");
    print(given.has("--json") ? report::similarity_json(found) + "\n"
                              : report::similarity_text(found) + report::residual_text(found));
    return 0;
}

}  // namespace assay::cli
