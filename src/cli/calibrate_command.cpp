#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/help.h"
#include "core/file.h"
#include "report/lines.h"

namespace assay::cli {

namespace {

void print_result(const calibrate::Result& result, const calibrate::Options& job, int verbosity) {
    if (job.perplexity && result.chunks_done > 0) {
        std::optional<perplexity::Estimate> estimate;
        if (result.perplexity) estimate = perplexity::Estimate{*result.perplexity, result.perplexity_error};
        write_stdout("\n" + report::estimate_text(estimate));
    }
    if (job.similarity) write_stdout(report::similarity_text(result.similarity));
    if (verbosity < kInformation) return;
    const double rate = result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0;
    write_stderr(fmt::format("assay: {} of {} chunks, {} tokens in {:.2f} s: {:.0f} tokens/s",
                             result.chunks_done, result.n_chunks, result.tokens, result.seconds, rate));
    if (result.stopped)
        write_stderr(fmt::format("assay: stopped as asked; go on with --in-file {} --chunk {}",
                                 job.output.string(), job.skip_chunks + result.chunks_done));
}

int calibrate(Arguments& arguments) {
    load_text(arguments);
    if (arguments.report) check_writable(*arguments.report);
    catch_signals();
    Console console(arguments.verbosity);
    const calibrate::Result result = calibrate::run(arguments.job, console);
    console.clear();
    print_result(result, arguments.job, arguments.verbosity);
    if (arguments.report && result.chunks_done > 0) {
        write_report({arguments.job.output}, *arguments.report);
        if (arguments.verbosity >= kInformation)
            write_stderr("assay: report in " + arguments.report->string());
    }
    constexpr int kInterrupted = 130;
    return result.stopped ? kInterrupted : 0;
}

}  // namespace

int run_calibrate(const std::vector<std::string>& words) {
    Arguments arguments = parse_arguments(words);
    if (arguments.verbosity >= kWarnings)
        for (const std::string& warning : arguments.warnings) write_stderr("assay: warning: " + warning);
    switch (arguments.mode) {
        case Mode::Help: write_stdout(help_text()); return 0;
        case Mode::Version: write_stdout(version_text()); return 0;
        case Mode::Statistics: return run_statistics(arguments);
        case Mode::Merge: return run_merge(arguments);
        case Mode::Calibrate: break;
    }
    return calibrate(arguments);
}

}  // namespace assay::cli
