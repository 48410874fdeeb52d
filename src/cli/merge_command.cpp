// `merge`, and `--in-file` without a text: add matrices, convert them. No model is needed.
#include <fmt/format.h>

#include "calibrate/parts.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/file.h"
#include "report/lines.h"

namespace assay::cli {

namespace {

/// The lines of one run over all chunks that the parts of it hold.
std::string perplexity_text(const calibrate::Collected& collected) {
    if (collected.chunk_losses.empty()) return {};
    std::string text;
    perplexity::Sums sums;
    std::uint64_t n = 0;
    for (const perplexity::Sums& chunk : collected.chunk_losses) {
        sums.merge(chunk);
        text += report::chunk_text(++n, sums.running());
    }
    return text + "\n" + report::estimate_text(sums.finish());
}

}  // namespace

int merge_matrices(const Arguments& arguments) {
    const calibrate::Options& options = arguments.options;
    const bool talks = arguments.verbosity >= Verbosity::Info;
    std::vector<std::filesystem::path> paths = options.in_files;
    paths.insert(paths.end(), arguments.files.begin(), arguments.files.end());
    check_writable(options.output, {options.model});
    if (!arguments.report.empty()) {
        std::vector<std::filesystem::path> kept = paths;
        kept.insert(kept.end(), {options.output, options.model});
        check_writable(arguments.report, kept);
    }
    if (talks && arguments.files.empty()) say("No prompt provided; combining precomputed matrices only.");
    imatrix::Notes notes;
    std::optional<std::uint32_t> chunk_size;
    calibrate::Merged merged = calibrate::merge_matrices(
        paths,
        [&](const std::filesystem::path& path) {
            if (talks) say(fmt::format("main : loading imatrix from '{}'", path.string()));
            imatrix::LoadOptions load = load_options(arguments);
            load.earlier_chunk_size = chunk_size;
            imatrix::Matrix loaded = imatrix::load(path, load, notes);
            if (!chunk_size) chunk_size = loaded.stored_chunk_size();
            return loaded;
        },
        arguments.force, notes);
    if (talks)
        say(fmt::format("main : saving {}imatrix to '{}'", paths.size() > 1 ? "combined " : "",
                        options.output.string()));
    const imatrix::Format format = imatrix::format_for(options.output, options.format, options.form);
    if (format != imatrix::Format::GgufExact) calibrate::forget_part(merged);
    imatrix::save(merged.matrix, options.output, format, notes);
    if (arguments.verbosity >= Verbosity::Warnings) warn(notes);
    if (merged.part) print(perplexity_text(merged.collected));
    const std::uint32_t chunks = merged.matrix.chunk_count;
    if (!arguments.report.empty()) {
        const LabelledMatrix total{options.output.string(), std::move(merged.matrix)};
        write_report(arguments.report, {&total, 1}, {});
    }
    if (arguments.verbosity >= Verbosity::Errors)
        say(written_text(options.output, format, chunks, options.format.has_value()));
    return 0;
}

}  // namespace assay::cli
