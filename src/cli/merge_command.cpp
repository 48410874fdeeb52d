// `--in-file` without a text: add matrices, convert them. No model is needed.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/file.h"

namespace assay::cli {

int merge_matrices(const Arguments& arguments) {
    const calibrate::Options& options = arguments.options;
    const bool talks = arguments.verbosity >= Verbosity::Info;
    check_writable(options.output, {options.model});
    if (!arguments.report.empty()) {
        std::vector<std::filesystem::path> kept = options.in_files;
        kept.insert(kept.end(), {options.output, options.model});
        check_writable(arguments.report, kept);
    }
    if (talks) say("No prompt provided; combining precomputed matrices only.");
    LabelledMatrix total{options.output.string(), imatrix::Matrix()};
    imatrix::Notes notes;
    for (const auto& path : options.in_files) {
        if (talks) say(fmt::format("main : loading imatrix from '{}'", path.string()));
        imatrix::LoadOptions load = load_options(arguments);
        load.earlier_chunk_size = total.matrix.stored_chunk_size();
        imatrix::merge(total.matrix, imatrix::load(path, load, notes), notes);
    }
    if (talks)
        say(fmt::format("main : saving {}imatrix to '{}'", options.in_files.size() > 1 ? "combined " : "",
                        options.output.string()));
    const imatrix::Format format = imatrix::format_for(options.output, options.format, options.form);
    imatrix::save(total.matrix, options.output, format, notes);
    if (arguments.verbosity >= Verbosity::Warnings) warn(notes);
    if (!arguments.report.empty()) write_report(arguments.report, {&total, 1}, {});
    if (arguments.verbosity >= Verbosity::Errors)
        say(written_text(options.output, format, total.matrix.chunk_count, options.format.has_value()));
    return 0;
}

}  // namespace assay::cli
