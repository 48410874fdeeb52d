// `assay similarity`: the layer similarities that a run with -lsim left in its matrix.
#include <algorithm>

#include "calibrate/extra.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "report/json.h"
#include "report/lines.h"

namespace assay::cli {

int similarity_command(const Arguments& arguments) {
    const std::string& path = arguments.files.front();
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(path, {}, notes);
    const similarity::Similarity found = calibrate::read_similarity(matrix.extra);
    const bool empty = std::all_of(similarity::kKinds.begin(), similarity::kKinds.end(),
                                   [&](similarity::Kind kind) { return found.sums(kind).empty(); });
    if (empty)
        throw Error(ErrorKind::BadFile, path,
                    "holds no layer similarity; a run with -lsim into a .gguf file stores it");
    print(arguments.numbers == NumbersAs::Json
              ? report::similarity_json(found) + "\n"
              : report::similarity_text(found) + report::residual_text(found));
    return 0;
}

}  // namespace assay::cli
