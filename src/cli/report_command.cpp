// `assay report` and `--report`: one page about one matrix, or about several compared with the first.
#include <array>

#include "calibrate/extra.h"
#include "cli/commands.h"
#include "cli/given.h"
#include "cli/help.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/file.h"
#include "report/html.h"

namespace assay::cli {

namespace {

constexpr std::array<OptionRow, 2> kRows{{
    {"--output -o --output-file", Takes::Value, Fate::Works, {}},
    {"--help -h --usage", Takes::Nothing, Fate::Works, {}},
}};

report::MatrixReport describe(const LabelledMatrix& labelled) {
    const imatrix::Matrix& matrix = labelled.matrix;
    report::MatrixReport out = report::describe(matrix, labelled.label);
    out.model = matrix.extra.find_string("assay.model.name").value_or("");
    out.chunk_sums = calibrate::read_losses(matrix.extra);
    similarity::Similarity similarity = calibrate::read_similarity(matrix.extra);
    if (!similarity.sums(similarity::Kind::Layer).empty()) out.similarity = std::move(similarity);
    return out;
}

}  // namespace

void write_report(const std::filesystem::path& page, std::span<const LabelledMatrix> matrices) {
    report::ReportData data;
    for (const LabelledMatrix& labelled : matrices) data.matrices.push_back(describe(labelled));
    for (const LabelledMatrix& other : matrices.subspan(1))
        data.comparisons.push_back(stats::compare(matrices.front().matrix, other.matrix));
    const std::string html = report::html_report(data);
    write_file_atomically(page, std::as_bytes(std::span(html)));
}

int report_command(const Words& words) {
    const CommandLine line = normalise(words, kRows);
    const Given given(line.words, kRows, {});
    if (given.has("--help")) {
        print(help_text("report"));
        return 0;
    }
    if (line.positional.empty())
        throw Error(ErrorKind::Usage, "report",
                    "takes one or more matrices: assay report FILE ... -o report.html");
    const std::filesystem::path page = given.last("--output").value_or("report.html");
    check_writable(page);
    imatrix::Notes notes;
    std::vector<LabelledMatrix> matrices;
    for (const std::string& path : line.positional)
        matrices.push_back({path, imatrix::load(path, {}, notes)});
    warn(notes);
    write_report(page, matrices);
    say("wrote " + page.string());
    return 0;
}

}  // namespace assay::cli
