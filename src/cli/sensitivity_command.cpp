// `assay sensitivity`: which parts of a model mind being rounded.
#include <fmt/format.h>
#include <vector>

#include "calibrate/sensitivity.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/run_observer.h"
#include "core/error.h"
#include "core/file.h"
#include "report/sensitivity_text.h"

namespace assay::cli {

int sensitivity_command(const Arguments& arguments) {
    if (arguments.text_from == TextFrom::Nowhere)
        throw Error(ErrorKind::Usage, "sensitivity",
                    "takes a model, a text and a type: assay sensitivity -m MODEL -f TEXT --type q4_K");
    if (arguments.options.model.empty()) throw Error(ErrorKind::Usage, "--model", "is required: -m FILE");
    const std::filesystem::path& output = arguments.output;
    calibrate::SensitivityOptions options = arguments.sensitivity;
    if (!output.empty()) {
        std::vector<std::filesystem::path> kept{arguments.options.model, options.matrix};
        if (arguments.text_from != TextFrom::Prompt) kept.emplace_back(arguments.text_source);
        check_writable(output, kept);
    }
    options.run = arguments.options;
    options.run.text = read_text(arguments);

    RunObserver observer(arguments);
    catch_interrupts();
    const calibrate::SensitivityResult result = calibrate::run_sensitivity(options, observer);
    observer.end_progress();
    if (result.stopped)
        observer.tell(Verbosity::Errors,
                      fmt::format("assay: stopped as asked after {} chunks", result.table.n_chunks));
    if (result.table.n_chunks == 0) return stopped_code();
    if (!output.empty()) {
        const std::string text = report::sensitivity_json(result.table);
        write_file_atomically(output, std::as_bytes(std::span(text)));
        observer.tell(Verbosity::Errors, "wrote " + output.string());
    }
    print_table<perplexity::Sensitivity>(
        result.table, arguments.numbers,
        {report::sensitivity_json, report::sensitivity_csv, report::sensitivity_text});
    observer.tell(Verbosity::Info, fmt::format("{} tokens through {} variants in {}", result.tokens,
                                               result.table.units.size(), time_text(result.seconds)));
    return result.stopped ? stopped_code() : 0;
}

}  // namespace assay::cli
