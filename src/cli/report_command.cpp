// `assay report` and `--report`: one page about one matrix, or about several compared with the first.
#include <fmt/format.h>

#include "calibrate/extra.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/file.h"
#include "core/thread_pool.h"
#include "gguf/file.h"
#include "recipe/policy.h"
#include "recipe/recipe_text.h"
#include "report/html.h"

namespace assay::cli {

namespace {

report::MatrixReport describe(const LabelledMatrix& labelled, std::span<const std::string> expected) {
    const imatrix::Matrix& matrix = labelled.matrix;
    report::MatrixReport out = report::describe(matrix, labelled.label, expected);
    out.coverage.demanding_types = recipe::types_needing_data();
    out.model = matrix.extra.find_string("assay.model.name").value_or("");
    out.chunk_sums = calibrate::read_losses(matrix.extra);
    similarity::Similarity similarity = calibrate::read_similarity(matrix.extra);
    if (!similarity.sums(similarity::Kind::Layer).empty()) out.similarity = std::move(similarity);
    return out;
}

/// The recipe from the first matrix: what it chose, and the rules and commands to use it.
std::string recipe_of(const Arguments& arguments, const gguf::File& model, const LabelledMatrix& first) {
    recipe::Options options = arguments.recipe;
    options.sensitivity = read_sensitivities(arguments);
    ThreadPool pool(threads_of(arguments));
    const recipe::Recipe result = recipe::make_recipe(model, first.matrix, options, pool);
    const std::filesystem::path legacy = std::filesystem::path(first.label).replace_extension(".dat");
    const recipe::CommandNames names{arguments.options.model.string(), first.label, legacy.string(),
                                     "tensor-types.txt", "quantised.gguf"};
    return fmt::format("{}\ntensor-types.txt:\n{}\nllama.cpp:\n{}\n\nik_llama.cpp:\n{}\n",
                       recipe::recipe_text(result), recipe::rules_file(result),
                       recipe::llama_command(result, names), recipe::ik_command(result, names));
}

}  // namespace

void write_report(const std::filesystem::path& page, std::span<const LabelledMatrix> matrices,
                  const ReportExtras& extras) {
    report::ReportData data;
    data.recipe = extras.recipe;
    for (const LabelledMatrix& labelled : matrices)
        data.matrices.push_back(describe(labelled, extras.expected));
    for (const LabelledMatrix& other : matrices.subspan(1))
        data.comparisons.push_back(stats::compare(matrices.front().matrix, other.matrix));
    const std::string html = report::html_report(data);
    write_file_atomically(page, std::as_bytes(std::span(html)));
}

int report_command(const Arguments& arguments) {
    const std::filesystem::path& model_path = arguments.options.model;
    if (arguments.asks_for_recipe() && model_path.empty())
        throw Error(ErrorKind::Usage, "report", "a recipe needs the model it is for: -m MODEL");
    const std::filesystem::path page = arguments.output.empty() ? "report.html" : arguments.output;
    std::vector<std::filesystem::path> kept(arguments.files.begin(), arguments.files.end());
    kept.push_back(model_path);
    check_writable(page, kept);
    imatrix::Notes notes;
    std::vector<LabelledMatrix> matrices;
    for (const std::string& path : arguments.files)
        matrices.push_back({path, imatrix::load(path, {}, notes)});
    warn(notes);
    ReportExtras extras;
    if (!model_path.empty()) {
        const gguf::File model = gguf::File::open(model_path);
        extras.expected = recipe::weights_wanting_data(model);
        if (arguments.asks_for_recipe()) extras.recipe = recipe_of(arguments, model, matrices.front());
    }
    write_report(page, matrices, extras);
    say("wrote " + page.string());
    return 0;
}

}  // namespace assay::cli
