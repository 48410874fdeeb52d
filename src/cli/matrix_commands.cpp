// Commands over matrix files: merge and convert, statistics, similarity, report.
#include <algorithm>

#include "calibrate/extra.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/help.h"
#include "core/error.h"
#include "core/file.h"
#include "imatrix/file.h"
#include "report/csv.h"
#include "report/html.h"
#include "report/json.h"
#include "report/lines.h"
#include "report/report_data.h"
#include "report/statistics_text.h"

namespace assay::cli {

namespace {

void show(const imatrix::Notes& notes) {
    for (const std::string& note : notes) write_stderr("assay: note: " + note);
}

imatrix::Matrix load_matrix(const std::filesystem::path& path) {
    imatrix::Notes notes;
    imatrix::Matrix matrix = imatrix::load(path, {}, notes);
    show(notes);
    return matrix;
}

/// Splits words into files and the flags that are allowed; a flag with a value is followed by it.
struct FilesAndFlags {
    std::vector<std::filesystem::path> files;
    std::vector<std::string> flags;
    std::optional<std::filesystem::path> output;

    bool has(std::string_view flag) const { return std::ranges::find(flags, flag) != flags.end(); }
};

FilesAndFlags split(const std::vector<std::string>& words, std::initializer_list<std::string_view> allowed) {
    FilesAndFlags result;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "-o" || word == "--output") {
            if (++i == words.size()) throw_error(ErrorKind::Usage, word, "needs a file name");
            result.output = words[i];
        } else if (!word.starts_with("-") || word == "-") {
            result.files.emplace_back(word);
        } else if (std::ranges::find(allowed, word) != allowed.end()) {
            result.flags.push_back(word);
        } else {
            throw_error(ErrorKind::Usage, word, "unknown option; see assay --help");
        }
    }
    return result;
}

std::filesystem::path single_file(const FilesAndFlags& words, std::string_view command) {
    if (words.files.size() != 1)
        throw_error(ErrorKind::Usage, command, "{} files given, expected one matrix", words.files.size());
    return words.files.front();
}

int print_statistics(const std::filesystem::path& path, bool json, bool csv) {
    imatrix::Notes notes;
    const imatrix::Matrix matrix = imatrix::load(path, {}, notes);
    const auto tensors = stats::tensor_stats(matrix, notes);
    show(notes);
    if (tensors.empty())
        throw_error(ErrorKind::BadFile, path.string(), "no entry has data to compute statistics of");
    const auto layers = stats::layer_stats(tensors);
    const auto activations = stats::activation_stats(matrix);
    const auto coverage = stats::coverage(matrix);
    if (json) {
        write_stdout(report::statistics_json(tensors, layers, activations, coverage) + "\n");
    } else if (csv) {
        write_stdout(report::statistics_csv(tensors));
    } else {
        write_stdout(report::statistics_text(path.string(), tensors, layers));
        const bool sums = std::ranges::any_of(activations, &stats::ActivationStats::has_sums);
        if (sums) write_stdout(report::activation_text(activations));
        write_stdout(report::coverage_text(coverage));
    }
    return 0;
}

}  // namespace

int run_merge(const Arguments& arguments) {
    const calibrate::Options& job = arguments.job;
    imatrix::LoadOptions options;
    if (arguments.n_ctx_given) options.chunk_size = static_cast<std::uint32_t>(job.n_ctx);
    imatrix::Notes notes;
    imatrix::Matrix sum;
    check_writable(job.output);
    for (const auto& path : job.in_files) {
        write_stderr(fmt::format("main : loading imatrix from '{}'", path.string()));
        imatrix::merge(sum, imatrix::load(path, options, notes), notes);
    }
    const imatrix::Format format = imatrix::format_for(job.output, job.format);
    imatrix::save(sum, job.output, format, notes);
    show(notes);
    write_stderr(fmt::format("main : saving {} to '{}' ({} format)",
                             job.in_files.size() > 1 ? "combined imatrix" : "imatrix", job.output.string(),
                             format == imatrix::Format::Legacy ? "legacy" : "GGUF"));
    return 0;
}

int run_statistics(const Arguments& arguments) {
    return print_statistics(arguments.job.in_files.front(), arguments.json, arguments.csv);
}

int run_stats(const std::vector<std::string>& words) {
    const FilesAndFlags parsed = split(words, {"--json", "--csv"});
    return print_statistics(single_file(parsed, "stats"), parsed.has("--json"), parsed.has("--csv"));
}

int run_similarity(const std::vector<std::string>& words) {
    const FilesAndFlags parsed = split(words, {"--json"});
    const auto path = single_file(parsed, "similarity");
    const auto similarity = calibrate::read_similarity(load_matrix(path).extra);
    if (similarity.sums(similarity::Kind::Layer).empty())
        throw_error(ErrorKind::BadFile, path.string(),
                    "holds no layer similarity; calibrate with -lsim to store it");
    if (parsed.has("--json"))
        write_stdout(report::similarity_json(similarity) + "\n");
    else
        write_stdout(report::similarity_text(similarity) + report::residual_text(similarity));
    return 0;
}

void write_report(const std::vector<std::filesystem::path>& matrices, const std::filesystem::path& output) {
    report::ReportData data;
    std::vector<imatrix::Matrix> loaded;
    for (const auto& path : matrices) {
        const imatrix::Matrix& matrix = loaded.emplace_back(load_matrix(path));
        report::MatrixReport shown = report::describe(matrix, path.filename().string());
        shown.model = std::string(matrix.extra.find_string("assay.model.name").value_or(""));
        shown.chunk_sums = calibrate::read_losses(matrix.extra);
        const auto similarity = calibrate::read_similarity(matrix.extra);
        if (!similarity.sums(similarity::Kind::Layer).empty()) shown.similarity = similarity;
        data.matrices.push_back(std::move(shown));
        if (loaded.size() > 1) data.comparisons.push_back(stats::compare(loaded.front(), loaded.back()));
    }
    const std::string page = report::html_report(data);
    write_file_atomically(output, std::as_bytes(std::span(page)));
}

int run_report(const std::vector<std::string>& words) {
    const FilesAndFlags parsed = split(words, {});
    if (parsed.files.empty()) throw_error(ErrorKind::Usage, "report", "no matrix given");
    const std::filesystem::path output = parsed.output.value_or("report.html");
    check_writable(output);
    write_report(parsed.files, output);
    write_stderr("assay: report in " + output.string());
    return 0;
}

}  // namespace assay::cli
